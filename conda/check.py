"""Render the recipe, and compare what it says with ``pyproject.toml``: ``python conda/check.py``.

Needs ``pip install py-rattler-build``.
"""

import re
import tomllib
from pathlib import Path

from rattler_build import Stage0Recipe

HERE = Path(__file__).parent


def spaced(requirements):
    """Requirements of PyPI as conda writes them."""
    return {re.sub(r"\s*>=", " >=", requirement) for requirement in requirements}


def main():
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    (variant,) = Stage0Recipe.from_file(HERE / "recipe.yaml").render()
    recipe = variant.recipe.to_dict()
    expected = {
        *spaced(project["project"]["dependencies"]),
        f"python {project['project']['requires-python']}",
    }
    found = set(recipe["requirements"]["run"])
    if found != expected:
        raise SystemExit(f"run requirements differ: {sorted(found ^ expected)}")
    if recipe["build"]["noarch"] != "python":
        raise SystemExit("the package is pure Python: noarch")
    extras = project["project"]["optional-dependencies"]
    floors = " ".join([*extras["dask"], *extras["parquet"], *extras["examples"]])
    for here, there in {
        "dask[array,dataframe]": "dask-core",
        "matplotlib": "matplotlib-base",
    }.items():
        floors = floors.replace(here, there)
    wrong = set(recipe["requirements"]["run_constraints"]) - spaced(floors.split())
    if wrong:
        raise SystemExit(f"not the floors of the extras: {sorted(wrong)}")
    print(f"{recipe['package']['name']} {recipe['package']['version']}: {', '.join(sorted(found))}")


if __name__ == "__main__":
    main()
