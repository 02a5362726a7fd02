"""Links from the reference to the line of the source."""

import inspect
import sys
from pathlib import Path

import sklearn_margin

PACKAGE = Path(sklearn_margin.__file__).parent


def source_link(repository, commit):
    """Return ``linkcode_resolve`` for a repository on GitHub at a commit or branch."""

    def resolve(domain, info):
        try:
            thing = sys.modules[info["module"]]
            for name in info["fullname"].split("."):
                thing = getattr(thing, name)
            thing = inspect.unwrap(thing.fget if isinstance(thing, property) else thing)
            path = Path(inspect.getsourcefile(thing)).relative_to(PACKAGE.parent)
            lines, start = inspect.getsourcelines(thing)
        except (AttributeError, KeyError, OSError, TypeError, ValueError):
            return None  # not Python, or not ours
        end = start + len(lines) - 1
        return f"{repository}/blob/{commit}/{path.as_posix()}#L{start}-L{end}"

    return resolve
