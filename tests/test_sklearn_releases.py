"""What differs between releases of scikit-learn, and that nothing else does."""

import ast
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn_releases import HAS_CALLBACKS

import sklearn_margin
from sklearn_margin import HingeClassifier, LinearEmbedding, QuantileRegressor, RankSVM
from sklearn_margin._sklearn import column_or_1d

PACKAGE = Path(sklearn_margin.__file__).parent
MARK = "pytest.mark.sklearn('1.9')"


@pytest.mark.parametrize("cls", [HingeClassifier, LinearEmbedding, QuantileRegressor, RankSVM])
def test_callbacks_are_where_scikit_learn_has_them(cls):
    assert hasattr(cls(), "set_callbacks") == HAS_CALLBACKS


def test_one_module_knows_of_older_releases():
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name != "_sklearn.py":
            assert "from sklearn.callback" not in text, path
            assert "sklearn.__version__" not in text, path


def functions_of(path):
    """Name, marks and source of each function of a file."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            marks = {ast.unparse(mark) for mark in node.decorator_list}
            yield f"{path.stem}.{node.name}", marks, ast.unparse(node)


def test_what_an_older_scikit_learn_leaves_out():
    """Tests of callbacks, of the array API, of pages in notebooks and of routing."""
    marked, newer, calling = set(), set(), set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for name, marks, source in functions_of(path):
            if MARK in marks:
                marked.add(name)
            elif "pytest.mark.sklearn" in " ".join(marks):
                newer.add(name)
            if ".set_callbacks(" in source and "HAS_CALLBACKS" not in source:
                calling.add(name)
    this = "test_sklearn_releases.test_what_an_older_scikit_learn_leaves_out"
    others = {
        "test_estimator_checks.test_array_api_checks_are_not_skipped",
        "test_html.test_few_fitted_attributes",
    }
    assert marked == (calling - {this}) | others
    assert len(marked) >= 13
    assert newer == {  # links of parameters; pipelines scored by their method, the last in part
        "test_html.test_parameters_are_explained",
        "test_offset.test_an_offset_is_routed_without_a_request",
        "test_ranking.test_grid_search_by_hand",
        "test_ranking.test_grid_search_with_and_without_routing",
        "test_ranking_end_to_end.test_routing_and_packed_targets_give_the_same_model",
    }


def test_a_column_is_called_by_its_name():
    np.testing.assert_array_equal(column_or_1d([[1], [2]], input_name="labels"), [1, 2])
    with pytest.raises(TypeError, match="for labels"):
        column_or_1d(sp.csr_array([[1.0]]), input_name="labels")
    with pytest.raises(ValueError, match="1d array"):
        column_or_1d([[1, 2]], input_name="labels")
