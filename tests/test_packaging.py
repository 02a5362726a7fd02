"""What is said of the package in several files is the same in all of them."""

import ast
import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = {
    requirement.name: requirement
    for line in (ROOT / ".ci" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
    for requirement in [Requirement(line)]
}
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def floors(requirements):
    """The least releases of requirements, as texts by name."""
    floors = {}
    for requirement in map(Requirement, requirements):
        (floor,) = (s.version for s in requirement.specifier if s.operator == ">=")
        floors[requirement.name] = floor
    return floors


def test_oldest_releases_are_the_floors():
    extras = PROJECT["optional-dependencies"]
    users = (*extras["dask"], *extras["export"], *extras["parquet"])
    wanted = floors([*PROJECT["dependencies"], *users, *extras["test"]])
    assert set(wanted) == set(PINS)
    for name, floor in wanted.items():
        (pin,) = PINS[name].specifier
        assert pin.operator == "=="
        assert f"{pin.version}.".startswith(f"{floor}."), name


def test_what_is_imported_is_installed():
    """Extras are imported where they are used, so that the package imports without them."""
    core = {Requirement(r).name for r in PROJECT["dependencies"]}
    assert core == {"numba", "numpy", "scikit-learn", "scipy"}
    imported = set()
    for path in (ROOT / "sklearn_margin").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    assert imported - sys.stdlib_module_names == {
        "numba", "numpy", "scipy", "sklearn", "sklearn_margin",
        "joblib", "threadpoolctl",  # which scikit-learn brings
        "llvmlite",  # which numba brings
    }  # fmt: skip


def test_workflows():
    """For each Python, with the least permissions, and actions by commit."""
    supported = [c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    matrix = re.search(r"python: (\[.*\])", (ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    assert ast.literal_eval(matrix[1]) == supported
    assert PROJECT["requires-python"] == f">={supported[0]}"
    assert len(WORKFLOWS) >= 2
    for path in WORKFLOWS:
        text = path.read_text(encoding="utf-8")
        assert "permissions:\n  contents: read\n" in text
        for used in re.findall(r"uses: (.*)", text):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), used
