"""What notebooks show of estimators, losses and solvers."""

import re

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.preprocessing import StandardScaler

import sklearn_margin
from sklearn_margin import LinearClassifier, RankSVM, losses, solvers
from sklearn_margin._html import DOCUMENTATION
from sklearn_margin.losses import Hinge, PointwiseLoss
from sklearn_margin.solvers import SGD

X, y = np.array([[-2.0], [-1.0], [1.0], [2.0]]), np.array([0, 0, 1, 1])
DRAWN = {
    f"{module.__name__}.{name}": cls
    for module in (sklearn_margin, losses, solvers)
    for name in module.__all__
    if isinstance(cls := getattr(module, name), type) and issubclass(cls, BaseEstimator)
}


class Own(PointwiseLoss):
    """A loss without a page."""


@pytest.mark.parametrize("page", DRAWN)
def test_links_to_its_page(page):
    """Pages are named by autosummary: module and class, as they are imported."""
    cls = DRAWN[page]
    inner = {solvers.InTurn: [SGD()], sklearn_margin.AlphaSearchCV: RankSVM()}
    drawn = cls(inner[cls]) if cls in inner else cls()
    assert drawn._get_doc_link() == f"{DOCUMENTATION}/api/generated/{page}.html"


def test_others_have_no_link_of_ours():
    assert Own()._get_doc_link() == ""
    assert "sklearn-margin" not in StandardScaler()._get_doc_link()


@pytest.mark.sklearn("1.8")
def test_parameters_are_explained():
    html = LinearClassifier(Hinge(), alpha=0.1).fit(X, y)._repr_html_()
    for name in ("alpha", "class_weight"):
        assert re.search(rf'href="{DOCUMENTATION}/api[^"]*LinearClassifier[^"]*text={name}', html)
    assert "alpha = 1/(C·n)" in html


@pytest.mark.sklearn("1.9")
def test_few_fitted_attributes():
    shown = set(RankSVM().fit(X, y)._get_fitted_attr_html())
    wanted = {"coef_", "dual_gap_", "n_features_in_", "n_iter_", "n_pairs_", "solver_"}
    assert shown == wanted


def test_defaults_of_a_loss_and_a_solver_are_not_marked_as_set():
    """Scikit-learn marks all parameters in nested objects."""
    model = LinearClassifier(Hinge(margin=2.0), solver=SGD(power=0.5), alpha=1e-4)
    wanted = {"loss", "loss__margin", "solver", "solver__power"}
    assert set(model._get_params_html().non_default) == wanted
    assert set(LinearClassifier(Hinge())._get_params_html().non_default) == {"loss"}
    assert set(SGD(power=0.5)._get_params_html().non_default) == {"power"}
