"""What examples show: every public name at work, and scripts that run alone, anywhere.

The gallery's scripts are run when the documentation is built; here they are only read.
"""

import ast
import importlib
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))
GALLERY = [script for script in SCRIPTS if script.name.startswith("plot_")]
CASES = [script for script in SCRIPTS if script not in GALLERY]
DOCS = ROOT / "docs"
PAGES = [*DOCS.glob("*.rst"), *DOCS.glob("user_guide/**/*.rst")]

MODULES = ["", "losses", "solvers", "metrics", "plotting"]
# What parts hand to each other. Everything else is for users, who want to see it at work.
BETWEEN_PARTS = {"solvers": {"InTurn", "Result", "candidates", "choose", "resolve"}}

pytestmark = pytest.mark.skipif(
    not SCRIPTS or not PAGES, reason="a package without its examples and documentation"
)


def identifiers(code):
    """Names in Python code, be it whole or not."""
    return set(re.findall(r"[^\W\d]\w*", code))


def names_in_script(path):
    """Names that a script uses; what it only imports is not used."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return {node.id for node in nodes if isinstance(node, ast.Name)} | {
        node.attr for node in nodes if isinstance(node, ast.Attribute)
    }


def names_in_page(path):
    """Names in the doctests and literal blocks of a page, imports left out."""
    code, block = [], None
    for line in path.read_text(encoding="utf-8").splitlines():
        indent = len(line) - len(line.lstrip())
        prompt = re.match(r"\s*(>>>|\.\.\.)( |$)", line)
        if block is not None and line.strip() and indent <= block:
            block = None
        if prompt or (block is not None and not line.lstrip().startswith(":")):
            code.append(line[prompt.end() :] if prompt else line.strip())
        elif block is None and re.search(r"(?<!\.)::$|code-block:: python$", line):
            block = indent if not line.lstrip().startswith("..") or "code-block" in line else None
    return identifiers("\n".join(line for line in code if not re.match(r"(from|import) ", line)))


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_in_an_example(name):
    """In a script or on a page of the guide; a base class by way of a class that is derived."""
    module = importlib.import_module(f"sklearn_margin.{name}".rstrip("."))
    shown = set().union(*map(names_in_script, SCRIPTS), *map(names_in_page, PAGES))
    public = {name: getattr(module, name) for name in module.__all__}
    for used in [public[name] for name in shown & set(public)]:
        shown |= {base.__name__ for base in getattr(used, "__mro__", ())}
    missing = set(public) - shown - BETWEEN_PARTS.get(name, set())
    assert sorted(missing) == [], "no example and no page of the guide uses these"


def code_lines(text):
    """Number of lines of code, without comments, blank lines and the docstring."""
    first = ast.parse(text).body[0].end_lineno
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    spans = [range(t.start[0], t.end[0] + 1) for t in tokens if t.type not in skipped]
    return len({line for span in spans[:-1] for line in span if line > first})  # [-1] is the end


def imports(tree):
    """First parts of the names of modules that are imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0] if node.module and not node.level else "."


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_stands_alone(script):
    """A downloaded script or notebook has no neighbours."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    neighbours = {other.stem for other in SCRIPTS} | {"."}
    assert not neighbours & set(imports(tree))
    title, rule, empty, *_ = ast.get_docstring(tree).splitlines()
    assert rule == "=" * len(rule) and len(rule) >= len(title) > 0 and empty == ""


@pytest.mark.parametrize("script", GALLERY, ids=lambda path: path.stem)
def test_script_is_of_the_gallery(script):
    """Short, without arguments, a picture that a narrow page can show, and where to go next."""
    text = script.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert "argparse" not in set(imports(tree)) and "sys.argv" not in text
    assert code_lines(text) <= 60
    assert text.count("\n# %%\n") >= 1
    widths = re.findall(r"figsize=\(([\d.]+),", text)
    assert all(float(width) <= 5.6 for width in widths)
    assert ":doc:`/user_guide/" in text[text.rindex("# %%") :]


@pytest.mark.parametrize("script", CASES, ids=lambda path: path.stem)
def test_case_study_shows_what_it_printed(script):
    """What is not run for the documentation shows its output, which lies beside it."""
    text = script.read_text(encoding="utf-8")
    assert script.with_suffix(".txt").read_text(encoding="utf-8").strip()
    assert f".. literalinclude:: ../../examples/{script.stem}.txt" in text
    assert "argparse" not in text or "parse_known_args" in text  # notebooks have arguments, too
