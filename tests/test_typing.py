"""Annotations: what users call has them all; what type checkers say is for ``tests/typing``."""

import importlib
import inspect
import runpy
from pathlib import Path

import pytest

import sklearn_margin
from sklearn_margin import Batches
from sklearn_margin._base.estimator import LossEstimator

MODULES = ["", ".losses", ".metrics", ".solvers"]
PUBLIC = {
    f"sklearn_margin{module}.{name}": getattr(
        importlib.import_module(f"sklearn_margin{module}"), name
    )
    for module in MODULES
    for name in importlib.import_module(f"sklearn_margin{module}").__all__
}


def called():
    """What users call: constructors, functions, and methods of estimators and of ``Batches``."""
    for name, thing in PUBLIC.items():
        if not inspect.isclass(thing):
            if callable(thing):
                yield pytest.param(thing, id=name)
            continue
        if thing.__module__.startswith("sklearn_margin") and "__init__" in vars(thing):
            yield pytest.param(thing.__init__, id=name)
        if not (issubclass(thing, LossEstimator) or thing is Batches):
            continue
        for attribute in dir(thing):
            method = getattr(thing, attribute)
            ours = getattr(inspect.unwrap(method), "__module__", None) or ""
            if attribute[0] != "_" and callable(method) and ours.startswith("sklearn_margin"):
                yield pytest.param(method, id=f"{name}.{attribute}")


@pytest.mark.parametrize("function", list(called()))
def test_annotated(function):
    signature = inspect.signature(function)
    for parameter in signature.parameters.values():
        assert parameter.name in ("self", "cls") or parameter.annotation is not parameter.empty
    assert signature.return_annotation is not signature.empty


@pytest.mark.parametrize("cls", [sklearn_margin.RankSVM, sklearn_margin.LinearClassifier])
def test_tooltips_are_short(cls):
    """Annotations are shown as they were written, not with all that they stand for."""
    assert "'MatrixLike | Batches'" in str(inspect.signature(cls.fit))
    assert len(str(inspect.signature(cls))) < 500


def test_program_of_a_user(capsys):
    program = Path(__file__).parent / "typing" / "good.py"
    runpy.run_path(str(program), run_name="__main__")
    assert "Cauchy {'scale': 1.0}" in capsys.readouterr().out
