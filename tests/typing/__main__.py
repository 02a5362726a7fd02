"""Check annotations as users of the package would: ``python tests/typing``; needs the extra types.

The package itself by mypy; ``good.py`` and ``bad.py`` by mypy --strict and by pyright, which have
to find the errors that are marked there and no others; and how much of the package pyright knows.
"""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
PROGRAMS = [HERE / "good.py", HERE / "bad.py"]
#: Least share of symbols, in percent, that are annotated in what users see.
LEAST_KNOWN = 80


def run(*command):
    """What a command prints."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # pyright looks
    found = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=HERE.parent.parent,
        env={**os.environ, "PATH": path},
    )
    if found.returncode not in (0, 1):
        sys.exit(f"{' '.join(map(str, command))}\n{found.stdout}{found.stderr}")
    return found.stdout


def mypy(*arguments):
    """Lines with errors, by name of the file, and the last line."""
    printed = run(sys.executable, "-m", "mypy", "--no-error-summary", *arguments)
    errors = re.findall(r"^(.*?):(\d+): error: (.*)$", printed, re.M)
    return {(Path(file).name, int(line)): message for file, line, message in errors}


def pyright(*arguments):
    """What pyright reports."""
    command = (sys.executable, "-m", "basedpyright", "--project", str(HERE), "--outputjson")
    return json.loads(run(*command, *arguments))


def pyright_errors():
    """Lines of the programs with errors."""
    found = pyright()["generalDiagnostics"]
    return {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1): each["message"]
        for each in found
        if each["severity"] == "error"
    }


def expected(tool):
    """Lines that a tool has to find."""
    marked = set()
    for program in PROGRAMS:
        for number, line in enumerate(program.read_text(encoding="utf-8").splitlines(), 1):
            comment = re.search(r"# error(?: \((\w+)\))?$", line)
            if comment and comment[1] in (None, tool):
                marked.add((program.name, number))
    return marked


def compare(tool, found):
    """Whether a tool finds what is marked."""
    wanted = expected(tool)
    for file, line in sorted(wanted - set(found)):
        print(f"{tool} does not find the error of {file}:{line}")
    for place in sorted(set(found) - wanted):
        print(f"{tool}: {place[0]}:{place[1]}: {found[place]}")
    print(f"{tool}: {len(wanted & set(found))} of {len(wanted)} marked errors, no others")
    return set(found) == wanted


def known_share():
    """Share of symbols, in percent, of which pyright knows the type, in modules that users see.

    Bases of scikit-learn, which has no types, leave no class known; their members count.
    """
    found = pyright("--ignoreexternal", "--verifytypes", "sklearn_margin")
    report = found["typeCompleteness"]
    print(f"pyright --verifytypes: {100 * report['completenessScore']:.0f} % of all symbols")
    shown = [
        symbol
        for symbol in report["symbols"]
        if symbol["isExported"]
        and symbol["category"] != "class"
        and not re.search(r"\._|\.objective\.", symbol["name"])
    ]
    return 100 * sum(is_annotated(symbol) for symbol in shown) / len(shown)


def is_annotated(symbol):
    """Whether a symbol lacks no annotation of its own."""
    missing = [d["message"] for d in symbol.get("diagnostics", [])]
    return symbol["isTypeKnown"] or not any("missing" in m or "unknown for" in m for m in missing)


def main():
    """Run all checks; exit with 1 if one fails."""
    if find_spec("mypy") is None or find_spec("basedpyright") is None:
        sys.exit('pip install -e ".[types]"')
    own = mypy()
    for (file, line), message in sorted(own.items()):
        print(f"mypy: {file}:{line}: {message}")
    print(f"mypy on the package: {len(own)} errors")
    strict = mypy("--strict", *map(str, PROGRAMS))
    passed = [not own, compare("mypy", strict), compare("pyright", pyright_errors())]
    share = known_share()
    print(f"annotated in what users see: {share:.0f} %, wanted {LEAST_KNOWN} %")
    sys.exit(0 if all(passed) and share >= LEAST_KNOWN else 1)


if __name__ == "__main__":
    main()
