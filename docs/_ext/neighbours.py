"""Where the names of other projects are documented, without asking their sites.

Sphinx takes the inventory of a project from its site where it can, and the small one written here
where it cannot (a machine without network): names listed in ``neighbours.txt`` have the same links
then, other names are printed without a link. Neither is a warning.
"""

import zlib
from pathlib import Path

NAMES = Path(__file__).with_suffix(".txt")
SITES = {
    "matplotlib": ("https://matplotlib.org/stable/", "api/_as_gen/{}.html"),
    "numpy": ("https://numpy.org/doc/stable/", "reference/generated/{}.html"),
    "pandas": ("https://pandas.pydata.org/docs/", "reference/api/{}.html"),
    "python": ("https://docs.python.org/3/", "library/{}.html"),
    "scipy": ("https://docs.scipy.org/doc/scipy/", "reference/generated/{}.html"),
    "sklearn": ("https://scikit-learn.org/stable/", "modules/generated/{}.html"),
}


def inventories(folder):
    """Write the small inventories into a folder; return ``intersphinx_mapping``."""
    folder.mkdir(parents=True, exist_ok=True)
    for project, (_, page) in SITES.items():
        (folder / f"{project}.inv").write_bytes(_inventory(project, page))
    # None is the inventory of the site.
    return {
        project: (url, (None, str(folder / f"{project}.inv")))
        for project, (url, _) in SITES.items()
    }


def _inventory(project, page):
    """Names of a project in the format of Sphinx's ``objects.inv``, version 2."""
    lines = []
    for kind, module, *names in map(str.split, NAMES.read_text(encoding="utf-8").splitlines()[1:]):
        if module.partition(".")[0] == project:
            full = [f"{module}.{name}" for name in names]
            lines += [f"{name} py:{kind} 1 {page.format(name)}#{name} -\n" for name in full]
    head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: stable\n"
    head += "# The remainder of this file is compressed using zlib.\n"
    return head.encode() + zlib.compress("".join(lines).encode())
