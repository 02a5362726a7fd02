"""A Markdown twin of every page, and ``llms.txt``, which lists them (https://llmstxt.org).

``user_guide/paths.html`` has its twin at ``user_guide/paths.html.md``. Twins are made of the
finished HTML, so that they have what a reader sees: outputs of examples, tables, signatures.
"""

import re
from pathlib import Path

from bs4 import BeautifulSoup
from markdownify import ATX, MarkdownConverter

# Of the page, not of its text: buttons, anchors, downloads.
FURNITURE = "a.headerlink, button, script, style, .sphx-glr-footer, .sphx-glr-download-link-note"


def write_twins(app, exception):
    """Write the twins and ``llms.txt`` once the HTML is complete."""
    if exception is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    for page in sorted(app.env.found_docs):
        html = out / f"{page}.html"
        html.with_name(html.name + ".md").write_text(_markdown(html), encoding="utf-8")
    (out / "llms.txt").write_text(_table_of_twins(app), encoding="utf-8")


def _markdown(path):
    """The article of a page as Markdown, whose links lead to twins."""
    article = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").select_one("article")
    for thing in article.select(FURNITURE):
        thing.decompose()
    for formula in article.select("div.math, span.math"):  # \[ … \] and \( … \) are not escaped
        formula.name = "code"
    for kind in article.select("dt > .classifier"):
        kind.insert(0, " : ")
    for link in article.select("a[href]"):
        if "://" not in link["href"]:
            link["href"] = re.sub(r"\.html(?=#|$)", ".html.md", link["href"])
    converter = MarkdownConverter(
        heading_style=ATX, escape_underscores=False, code_language_callback=_language
    )
    return re.sub(r"\n{3,}", "\n\n", converter.convert_soup(article)).strip() + "\n"


def _language(pre):
    """Sphinx names the language of a code block in the class of a parent."""
    for parent in pre.parents:
        for name in parent.get("class") or ():
            if name.startswith("highlight-"):
                language = name.removeprefix("highlight-").lower()
                return {"default": "python", "none": ""}.get(language, language)
    return ""


def _table_of_twins(app):
    """The pages by section of the table of contents, each with its title and address."""
    env, config = app.env, app.config
    lines = [f"# {config.project}", "", f"> {config.llms_description}"]

    def entry(page):
        return f"- [{env.titles[page].astext()}]({config.html_baseurl}{page}.html.md)"

    def below(page):
        for child in env.toctree_includes.get(page, ()):
            yield child
            yield from below(child)

    for section in env.toctree_includes[config.root_doc]:
        lines += ["", f"## {env.titles[section].astext()}", "", entry(section)]
        lines += [entry(page) for page in dict.fromkeys(below(section))]
    return "\n".join(lines) + "\n"


def setup(app):
    """Connect to the end of the build."""
    app.add_config_value("llms_description", "", "html", str)
    app.connect("build-finished", write_twins)
    return {"parallel_read_safe": True}
