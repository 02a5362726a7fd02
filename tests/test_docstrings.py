"""Docstrings say what the code says: parameters, defaults, attributes, errors, examples."""

import ast
import importlib
import inspect
import re
import runpy
import textwrap
import warnings
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.base import BaseEstimator, is_classifier

import sklearn_margin
from sklearn_margin import HingeClassifier, LinearClassifier, LinearEmbedding, QuantileRegressor
from sklearn_margin._base.estimator import LossEstimator
from sklearn_margin.solvers import Solver

MODULES = [
    "sklearn_margin",
    "sklearn_margin.inference",
    "sklearn_margin.losses",
    "sklearn_margin.metrics",
    "sklearn_margin.plotting",
    "sklearn_margin.solvers",
]
PUBLIC = {
    f"{module}.{name}": getattr(importlib.import_module(module), name)
    for module in MODULES
    for name in importlib.import_module(module).__all__
    if name != "SKOPS_TRUSTED"  # a list
}
ESTIMATORS = {
    cls.__name__: cls
    for cls in PUBLIC.values()
    if inspect.isclass(cls) and issubclass(cls, LossEstimator)
}
#: Parameters that differ in meaning, not only in words, by classes that share another text.
OWN_MEANING = {
    "loss": ESTIMATORS.keys(),  # each has its own list of names
    "alpha": {"LinearEmbedding", "LinearRanker", "RankSVM"},  # no intercept, pairs, other norms
    "solver": {"LinearEmbedding", "LinearRanker", "RankSVM"},  # fewer of them
    "tol": {"LinearEmbedding"},  # there are no duality gaps
    "max_iter": {"LinearEmbedding"},
    "warm_start": {"LinearEmbedding"},  # of components
    "n_jobs": {"LinearEmbedding"},
    "random_state": {"LinearEmbedding"},
    "verbose": {"LinearEmbedding"},
    "margin": {"HingeClassifier", "RankSVM"},  # of a row, of a pair
    "coef_": {*ESTIMATORS} - {"LinearRegressor", "HuberRegressor", "LinearRanker", "RankSVM"},
    "intercept_": {"QuantileRegressor", "HuberRegressor", "LinearRegressor"},
    "n_iter_": {"QuantileRegressor", "LinearClassifier", "HingeClassifier", "LinearEmbedding"},
    "dual_gap_": {"QuantileRegressor", "LinearClassifier", "HingeClassifier"},
    "classes_": {"LinearEmbedding", "OrdinalClassifier"},  # as indices, in their order
    "n_iter_no_change": {"SGD", "Adam"},
    "early_stopping": {"SGD", "Adam"},
    "validation_fraction": {"SGD", "Adam"},
}


class Entry(NamedTuple):
    """A documented parameter or attribute."""

    kind: str
    text: str


def sections(thing):
    """Lines of a docstring, by section."""
    found, title = defaultdict(list), ""
    lines = (inspect.getdoc(thing) or "").splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if line and re.fullmatch("-{3,}", below) and len(line) == len(below):
            title = line
        elif not (title and not found[title] and re.fullmatch("-{3,}", line)):
            found[title].append(line)
    return found


def entries(lines):
    """Entries of a section: {name: Entry}, with one for each name of ``a, b : kind``."""
    found = {}
    for block in re.split(r"\n(?=\S)", "\n".join(lines)):
        head, _, text = block.partition("\n")
        names, _, kind = head.partition(" : ")
        for name in filter(None, (name.strip(" *") for name in names.split(","))):
            found[name] = Entry(kind, " ".join(text.split()))
    return found


def parameters(function):
    """Parameters of a signature, without ``self``."""
    given = inspect.signature(function).parameters.values()
    return [p for p in given if p.name not in ("self", "cls")]


def documented(thing):
    """What a docstring says of parameters, those of a constructor in the class's."""
    return entries(sections(thing)["Parameters"])


def methods():
    """Public methods that this package defines, of classes that users call methods of."""
    for name, cls in PUBLIC.items():
        called = [*ESTIMATORS.values(), sklearn_margin.Batches]
        if not (cls in called or name.startswith("sklearn_margin.plotting.")):
            continue
        for attribute in dir(cls):
            method = getattr(cls, attribute)
            ours = getattr(inspect.unwrap(method), "__module__", "") or ""
            if attribute[0] != "_" and callable(method) and ours.startswith("sklearn_margin"):
                yield pytest.param(method, id=f"{name}.{attribute}")


every_public = pytest.mark.parametrize("thing", PUBLIC.values(), ids=PUBLIC.keys())
every_function = pytest.mark.parametrize(
    "function",
    [
        *(pytest.param(f, id=name) for name, f in PUBLIC.items() if inspect.isfunction(f)),
        *methods(),
    ],
)


def assert_parameters(thing, function):
    """The docstring has the parameters of the signature, in their order, with their defaults."""
    found, expected = documented(thing), parameters(function)
    assert list(found) == [p.name for p in expected]
    for parameter in expected:
        kind = found[parameter.name].kind
        said = re.search(r"default=(.+)$", kind)
        if parameter.default is parameter.empty:
            assert said is None, f"{parameter.name} has no default"
            continue
        assert said is not None, f"{parameter.name} has the default {parameter.default!r}"
        name = getattr(parameter.default, "__name__", None)
        if said[1] not in (name, str(parameter.default)):  # of a function, nan
            assert ast.literal_eval(said[1]) == parameter.default, parameter.name


@every_public
def test_parameters(thing):
    assert_parameters(thing, thing)
    assert all(entry.text for entry in documented(thing).values())


@every_function
def test_parameters_of_functions(function):
    assert_parameters(function, function)


@every_public
def test_spelled_out(thing):
    """A tooltip shows one docstring: "As in another class" helps nobody there."""
    for section in ("Parameters", "Attributes"):
        text = " ".join(sections(thing)[section])
        assert not re.search(r"\b(As in|See) ``[A-Z]", text)
        assert "**kwargs" not in text or "Passed to" in text


@every_public
def test_summary(thing):
    first = (inspect.getdoc(thing) or "").split("\n\n")[0]
    assert first
    assert "\n" not in first, "the summary is one line"
    assert first.rstrip(" _[]123")[-1] in ".:", first


@every_public
def test_examples(thing):
    shown = "\n".join(sections(thing)["Examples"])
    code = "\n".join(re.findall(r"^(?:>>>|\.\.\.) (.*)", shown, re.M))
    assert re.search(rf"\b{thing.__name__}\b", code), "no example names it"


def raises(function):
    """Whether the body of a function raises something, or lets a check do it."""
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
    for node in ast.walk(ast.parse(source)):
        name = getattr(getattr(node, "func", None), "id", "")
        checks = name.startswith(("check_", "_check_")) and name != "check_is_fitted"
        if isinstance(node, ast.Raise) or checks:
            return True
    return False


@every_function
def test_errors_of_functions(function):
    through_others = function.__name__ in ("fit", "score", "partial_fit")
    if raises(function) or through_others:
        assert sections(function)["Raises"]


@every_public
def test_errors_of_constructors(thing):
    if inspect.isclass(thing) and "__init__" in vars(thing) and raises(thing.__init__):
        assert sections(thing)["Raises"]


def fits():
    """Tiny fits, by class: models that together have every fitted attribute."""
    import pandas as pd

    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = (X[:, 0] + rng.normal(size=60) > 0).astype(int)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    more = [
        HingeClassifier(probability="sigmoid"), LinearClassifier(solver="sgd"),
        QuantileRegressor(quantile=[0.2, 0.8]), LinearEmbedding("arc_face", random_state=0),
    ]  # fmt: skip
    for model in [*(cls() for cls in ESTIMATORS.values()), *more]:
        target = y if is_classifier(model) or isinstance(model, LinearEmbedding) else X[:, 1]
        groups = "groups" in inspect.signature(model.fit).parameters
        yield model.fit(frame, target, **({"groups": np.arange(60) // 10} if groups else {}))


def test_fitted_attributes():
    found = defaultdict(set)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model in fits():
            found[type(model).__name__] |= {
                name for name in vars(model) if name.endswith("_") and not name.startswith("_")
            }
    assert found == {
        name: set(entries(sections(cls)["Attributes"])) for name, cls in ESTIMATORS.items()
    }


def siblings():
    solvers = {
        cls.__name__: cls
        for cls in PUBLIC.values()
        if inspect.isclass(cls) and issubclass(cls, Solver)
    }
    return [ESTIMATORS, solvers]


@pytest.mark.parametrize("family", siblings(), ids=["estimators", "solvers"])
@pytest.mark.parametrize("section", ["Parameters", "Attributes"])
def test_siblings_say_the_same(family, section):
    said = defaultdict(lambda: defaultdict(list))
    for name, cls in family.items():
        for parameter, entry in entries(sections(cls)[section]).items():
            if name not in OWN_MEANING.get(parameter, ()):
                said[parameter][entry].append(name)
    differing = {name: dict(texts) for name, texts in said.items() if len(texts) > 1}
    assert not differing


def test_what_differs_is_there():
    """The list of exceptions holds nothing that went away."""
    for parameter, names in OWN_MEANING.items():
        for name in names:
            cls = next(c for c in PUBLIC.values() if c.__name__ == name)
            found = {**documented(cls), **entries(sections(cls)["Attributes"])}
            optional = parameter in ("loss", "coef_")
            assert parameter in found or optional, f"{name} has no {parameter}"


@pytest.mark.parametrize("cls", ESTIMATORS.values(), ids=ESTIMATORS.keys())
def test_help_is_plain(cls):
    """``help()`` shows the source: no role, no directive but references."""
    assert issubclass(cls, BaseEstimator)
    text = inspect.getdoc(cls)
    assert not re.search(r":\w+:`", text)
    assert not re.search(r"^\.\. (?!\[)", text, re.M)


def test_reference_lists_everything():
    """Every public object is in one list of docs/api, and the guide has a page about it."""
    docs = Path(__file__).parent.parent / "docs"
    listed = []
    for page in sorted((docs / "api").glob("*.rst")):
        text = page.read_text(encoding="utf-8")
        module = re.search(r"^\.\. currentmodule:: (\S+)", text, re.M)
        for names in re.findall(r":nosignatures:\n\n((?:   \S+\n)+)", text):
            listed += [f"{module[1]}.{name}" for name in names.split()]
    assert len(listed) == len(set(listed))
    guide = runpy.run_path(str(docs / "_ext" / "api_links.py"))["by_full_name"]()
    assert set(PUBLIC) <= set(listed)
    assert set(listed) == set(guide)
