"""Links from pictures of estimators in notebooks to their pages of the reference."""

from __future__ import annotations

__all__ = ["DOCUMENTATION", "LinksToDocumentation"]

#: Where the documentation of the last release is.
DOCUMENTATION = "https://sklearn-margin.readthedocs.io/en/stable"

_MODULES = ("losses", "solvers")  # with pages of their own; other classes are at the top


class LinksToDocumentation:
    """What scikit-learn asks an estimator, a loss or a solver for when it draws it."""

    _doc_link_module = "sklearn_margin"
    _doc_link_template = DOCUMENTATION + "/api/generated/{page}.html"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        package, module, *_ = [*type(self).__module__.split("."), ""]
        place = f"{package}.{module}" if module in _MODULES else package
        return {"page": f"{place}.{type(self).__name__}"}
