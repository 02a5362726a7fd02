"""Sphinx configuration."""

import inspect
import os
import re
import sys
from pathlib import Path

from sphinx.ext.autosummary import Autosummary
from sphinx_gallery.sorting import ExplicitOrder

import sklearn_margin

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

import neighbours  # noqa: E402
import pictures  # noqa: E402
import source_links  # noqa: E402

# The one place for where the project lives; README.md and pyproject.toml say it again. Read the
# Docs builds each version, and says its address and commit.
REPOSITORY = "https://github.com/sklearn-margin/sklearn_margin"
BRANCH = "main"
LATEST = "https://sklearn-margin.readthedocs.io/en/latest/"
SITE = os.environ.get("READTHEDOCS_CANONICAL_URL", LATEST)

project = "sklearn_margin"
author = "the sklearn_margin developers"
copyright = f"2026, {author}"
version = release = sklearn_margin.__version__
description = "Linear models for tables whose loss you choose, in scikit-learn's way."

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.linkcode",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx_sitemap",
    "sphinx-mathjax-offline",  # MathJax among the files of the site; no other server is asked
    "sphinxext.opengraph",
    "api_links",
    "markdown_twins",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "literal"

html_theme = "pydata_sphinx_theme"
html_title = f"{project} {version}"
html_baseurl = SITE
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/icon.svg"
html_show_sourcelink = False
html_domain_indices = False  # the list of modules is the page on the API
html_copy_source = False  # the Markdown twins are better to read
html_context = {
    "github_user": REPOSITORY.split("/")[-2],
    "github_repo": REPOSITORY.split("/")[-1],
    "github_version": BRANCH,
    "doc_path": "docs",
}
html_theme_options = {
    "logo": {
        "text": project,
        "alt_text": f"{project}, home",
        "image_light": "_static/icon.svg",
        "image_dark": "_static/icon.svg",
    },
    "navbar_end": ["version-switcher", "theme-switcher", "navbar-icon-links"],
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 6,
    "icon_links": [{"name": "Source", "url": REPOSITORY, "icon": "fa-brands fa-github"}],
    "search_bar_text": "Search (Ctrl + K)",
    "show_prev_next": True,
    "show_toc_level": 2,
    "use_edit_page_button": True,
    # Generated pages have no source to edit; their code is linked from them.
    "secondary_sidebar_items": {
        "getting_started": ["page-toc", "edit-this-page"],
        "user_guide/**": ["page-toc", "edit-this-page"],
        "benchmarks": ["page-toc", "edit-this-page"],
        "api/**": ["page-toc"],
        "gallery/**": ["page-toc", "sg_download_links"],
    },
    # Browsers fetch the list from the site, so that old versions know new ones.
    "switcher": {
        "json_url": f"{LATEST}_static/switcher.json",
        "version_match": os.environ.get("READTHEDOCS_VERSION_NAME", "latest"),
    },
    "check_switcher": False,
    "footer_start": ["copyright"],
    "footer_center": [],
    "footer_end": [],
}
html_sidebars = {"index": [], "getting_started": [], "benchmarks": []}

# Prompts are not copied, nor is what Python answers.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

intersphinx_mapping = neighbours.inventories(HERE / "_build" / "inventories")
intersphinx_timeout = 5
linkcode_resolve = source_links.source_link(
    REPOSITORY, os.environ.get("READTHEDOCS_GIT_COMMIT_HASH", BRANCH)
)

llms_description = description
ogp_site_url = SITE
ogp_image = f"{SITE}_static/readme.png"
ogp_description_length = 160
ogp_social_cards = {"enable": False}
sitemap_url_scheme = "{link}"
sitemap_excludes = ["search.html", "genindex.html"]

# API pages: one per module, listing its __all__ (see _templates/autosummary/module.rst).
autosummary_generate = True
autosummary_imported_members = True
autosummary_ignore_module_all = False
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"  # "fit()" at the side of a class, whose name is long
numpydoc_show_class_members = False
autodoc_typehints = "none"  # docstrings have the types in words

plot_formats = [("svg", 100)]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_apply_rcparams = True
plot_rcparams = pictures.settings()

# Scripts that begin with plot_ are run. The others are case studies: they take long or need a
# cluster, and show what they printed, from a file that they include.
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"[\\/]plot_",
    "within_subsection_order": ExplicitOrder(
        [
            # By task, in the order of the guide: the first of each, then what goes deeper.
            "plot_rank_a_table.py",
            "plot_imbalance_thresholds.py",
            "plot_quantile_fan.py",
            "plot_huber_outliers.py",
            "plot_own_loss.py",
            "plot_embed_digits.py",
            "plot_ordinal_delays.py",
            "plot_calibrated_probabilities.py",
            "plot_conformal_intervals.py",
            "plot_clicks.py",
            "plot_censored_times.py",
            "plot_listwise.py",
            "plot_skrub_ranksvm.py",
            "plot_offset.py",
            "plot_signs.py",
            "plot_coefficients.py",
            "plot_intervals.py",
            "plot_alpha_search.py",
            "plot_regularization_path.py",
            "*",
            "rank_flights.py",
            "loss_catalogue.py",
            "flights_dask.py",
        ]
    ),
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("sklearn_margin",),
    "reference_url": {"sklearn_margin": None},
    "reset_modules": ("matplotlib", "pictures.use_style"),
    "image_scrapers": ("pictures.scrape",),
    "thumbnail_size": pictures.THUMBNAIL,
    "default_thumb_file": str(HERE / "_static" / "no_picture.png"),
    # What drawing returns is not shown.
    "ignore_repr_types": r"matplotlib[.]|sklearn_margin[.]plotting|<class 'list'>",
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "min_reported_time": 1e9,  # seconds say more of the machine than of the script
    "download_all_examples": False,
    "write_computation_times": False,
}


def skip_foreign(app, what, name, obj, skip, options):
    """Leave out what is inherited from scikit-learn or generated by it."""
    if what != "class" or skip:
        return None
    function = inspect.unwrap(obj.fget if isinstance(obj, property) else obj)
    owner = getattr(function, "__module__", None)
    return True if owner is not None and not owner.startswith("sklearn_margin") else None


class Summary(Autosummary):
    """Summary tables without the citations of first sentences."""

    def get_items(self, names):
        """Rows of the table: name, signature, summary, real name."""
        items = super().get_items(names)
        return [(*row[:2], re.sub(r"\s*\[R\w+-\d+\]_", "", row[2]), row[3]) for row in items]


def hide_marks(app, docname, source):
    """Leave out of the gallery's pages what the scripts say to ruff."""
    if docname.startswith("gallery/"):
        source[0] = source[0].replace("  # fmt: skip\n", "\n")


def setup(app):
    """Connect the hooks above."""
    app.add_directive("autosummary", Summary, override=True)
    app.connect("autodoc-skip-member", skip_foreign)
    app.connect("source-read", hide_marks)
    app.connect("builder-inited", pictures.show_panels, priority=900)  # after the gallery
