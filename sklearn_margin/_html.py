"""What notebooks show of estimators, losses and solvers."""

from __future__ import annotations

from typing import Any

__all__ = ["DOCUMENTATION", "DrawnByScikitLearn"]

#: Where the documentation of the last release is.
DOCUMENTATION = "https://sklearn-margin.readthedocs.io/en/stable"

_MODULES = ("losses", "solvers")  # with pages of their own; other classes are at the top


class DrawnByScikitLearn:
    """What scikit-learn asks an estimator, a loss or a solver for when it draws it as HTML.

    By itself scikit-learn marks each parameter of a loss or solver inside an estimator as set by
    the user. Here those are marked that differ from the defaults of the loss or solver.
    """

    _doc_link_module = "sklearn_margin"
    _doc_link_template = DOCUMENTATION + "/api/generated/{page}.html"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        package, module, *_ = [*type(self).__module__.split("."), ""]
        place = f"{package}.{module}" if module in _MODULES else package
        return {"page": f"{place}.{type(self).__name__}"}

    def _get_params_html(self, *args: Any, **kwargs: Any) -> Any:
        shown = super()._get_params_html(*args, **kwargs)  # type: ignore[misc]
        set_by_user = []
        for name in shown.non_default:
            head, _, inner = name.partition("__")
            draw = getattr(getattr(self, head, None), "_get_params_html", None)
            if not inner or draw is None or inner in draw(deep=True).non_default:
                set_by_user.append(name)
        shown.non_default = tuple(set_by_user)
        return shown
