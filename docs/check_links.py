"""Check a built site without network: each link, anchor and picture that it has must be there.

Usage: ``python docs/check_links.py docs/_build/html [--external]``. What is missing is printed and
is an error. ``--external`` prints addresses of other sites, which are not fetched.
"""

import argparse
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit


class Page(HTMLParser):
    """Targets of a page, and what it refers to."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.references = {"", "top"}, set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        """Note the targets and references of a tag."""
        attrs = {name: value for name, value in attrs if value}
        self.anchors.update(attrs[name] for name in ("id", "name") if name in attrs)
        self.references.update(attrs[name] for name in ("href", "src") if name in attrs)
        for candidate in attrs.get("srcset", "").split(","):
            self.references.update(candidate.split()[:1])


def check(root):
    """Return (missing, external): sorted pairs of page and reference, sorted addresses."""
    pages = {p: Page(p) for p in sorted(root.rglob("*.html")) if "_static" not in p.parts}
    missing, external = set(), set()
    for path, page in pages.items():
        for reference in page.references:
            address, anchor = urldefrag(reference)
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                external.add(reference)
                continue
            target = path
            if parts.path:
                base = root if parts.path.startswith("/") else path.parent
                target = (base / unquote(parts.path).lstrip("/")).resolve()
            found = target.is_file()
            if found and target in pages:
                found = unquote(anchor) in pages[target].anchors
            if not found:
                missing.add((str(path.relative_to(root)), reference))
    return sorted(missing), sorted(external)


def main():
    """Check the folder that is named, and say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--external", action="store_true")
    options = parser.parse_args()
    missing, external = check(options.root.resolve())
    if options.external:
        print(*external, sep="\n")
    for page, reference in missing:
        print(f"{page}: {reference} is not there", file=sys.stderr)
    print(f"{len(missing)} missing, {len(external)} addresses of other sites not fetched")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
