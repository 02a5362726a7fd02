"""Who gets what in a search: the last step of a pipeline, the splitter, and the scorers."""

from __future__ import annotations

import copy
from functools import partial, wraps
from inspect import signature
from numbers import Integral
from typing import Any, NamedTuple

from sklearn import config_context, get_config
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import GroupKFold, check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import process_routing

from sklearn_margin._base.linear import LinearModel
from sklearn_margin._base.ranking import BaseRanker
from sklearn_margin._groups import unpack_target

__all__ = [
    "Routed",
    "Scoring",
    "is_single",
    "last_step",
    "route",
    "route_to_scorer",
    "routing_enabled",
    "scorings",
    "splitter",
    "takes_offset",
    "transformed",
    "with_last",
    "with_offset",
]


def routing_enabled() -> bool:
    """Whether scikit-learn's metadata routing is."""
    return bool(get_config()["enable_metadata_routing"])


def last_step(estimator) -> tuple[str, LinearModel]:
    """The linear model itself, and the prefix of its parameters.

    Raises
    ------
    TypeError
        If there is none.
    """
    last, prefix = estimator, ""
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        prefix = f"{name}__"
    if not isinstance(last, LinearModel):
        raise TypeError(
            "estimator must be a classifier, regressor or ranker of sklearn_margin, or a Pipeline "
            f"whose last step is one, got {estimator!r}"
        )
    return prefix, last


def with_last(estimator, last):
    """An estimator with another last step; other steps are the same objects."""
    if not isinstance(estimator, Pipeline):
        return last
    new = copy.copy(estimator)
    new.steps = [*estimator.steps[:-1], (estimator.steps[-1][0], last)]
    return new


def with_offset(model, offset):
    """A fitted model that predicts with an offset, for scorers that pass none on."""
    new = copy.copy(model)
    for name in ("decision_function", "predict", "predict_proba"):
        if hasattr(model, name):
            method = getattr(model, name)
            setattr(new, name, wraps(method)(partial(method, offset=offset)))
    return new


def transformed(estimator, X):
    """Features as the last step of a fitted estimator gets them."""
    if not isinstance(estimator, Pipeline) or len(estimator.steps) == 1:
        return X
    return estimator[:-1].transform(X)


class Scoring(NamedTuple):
    """A scorer: its name, what the user gave, and what to call."""

    name: str
    given: Any
    call: Any

    def takes(self, model, name) -> bool:
        """Whether it has a use for metadata of a name."""
        function = model.score if self.given is None else self.call
        return name in signature(getattr(function, "_score_func", function)).parameters

    def all(self, worker, estimator, data, ready) -> list:
        """Scores of the models of a path: numbers, or dicts of them.

        ``ready`` are the features as the last step of ``estimator`` gets them.
        """
        models, given = worker.result_.models, data.to_scorers[self.name]
        if self.given is None and isinstance(estimator, Pipeline) and routing_enabled():
            return list(estimator.score(data.X, data.y, **given))  # it knows who gets what
        if self.looks_at_predictions:
            if data.offset is not None and "offset" not in given:
                models = [with_offset(model, data.offset) for model in models]
            return [self.one(model, ready, data.y, given) for model in models]
        return [self.one(with_last(estimator, model), data.X, data.y, given) for model in models]

    def one(self, estimator, X, y, given):
        """The score of one model."""
        if self.given is None:
            return estimator.score(X, y, **given)
        if not self.looks_at_predictions:
            return self.call(estimator, X, y, **given)
        with config_context(enable_metadata_routing=True):  # else it takes weights only
            return self.call(estimator, X, y, **given)

    @property
    def looks_at_predictions(self) -> bool:
        """Whether it looks at nothing of a pipeline but what the last step makes of features."""
        return self.given is None or hasattr(self.call, "_score_func")


def is_single(scoring) -> bool:
    """Whether ``scoring`` is one scorer, whose score has no name."""
    return scoring is None or isinstance(scoring, str) or callable(scoring)


def scorings(estimator, scoring) -> list[Scoring]:
    """The scorers that ``scoring`` names or holds."""
    if is_single(scoring):
        several = {"score": scoring}
    else:
        several = scoring if isinstance(scoring, dict) else {name: name for name in scoring}
    return [Scoring(name, each, check_scoring(estimator, each)) for name, each in several.items()]


# --- metadata ------------------------------------------------------------------------------------


class Routed(NamedTuple):
    """Metadata by who gets it; of the scorers, by their names."""

    to_fit: dict[str, Any]
    to_split: dict[str, Any]
    to_scorers: dict[str, dict[str, Any]]


def route(search, params, scorings) -> Routed:
    """Metadata of the fit of a search."""
    params = {name: values for name, values in params.items() if values is not None}
    if routing_enabled():
        routed = process_routing(search, "fit", **params)
        to_scorers = {each.name: routed[f"scorer_{each.name}"].score for each in scorings}
        return Routed(routed.estimator.fit, routed.splitter.split, to_scorers)
    prefix, model = last_step(search.estimator)
    groups = params.pop("groups", params.get(f"{prefix}groups"))
    if groups is not None and isinstance(model, BaseRanker):
        params[f"{prefix}groups"] = groups
    known = {name.removeprefix(prefix): values for name, values in params.items()}
    to_scorers = {
        each.name: {name: known[name] for name in known if each.takes(model, name)}
        for each in scorings
    }
    return Routed(params, {} if groups is None else {"groups": groups}, to_scorers)


def route_to_scorer(search, params, scoring) -> dict[str, Any]:
    """Metadata of the score of a search."""
    params = {name: values for name, values in params.items() if values is not None}
    if routing_enabled():
        routed = process_routing(search, "score", **params)
        return dict(routed[f"scorer_{scoring.name}"].score)
    prefix, model = last_step(search.estimator)
    given = {name.removeprefix(prefix): values for name, values in params.items()}
    for name in given:
        if not scoring.takes(model, name):
            raise TypeError(f"the scorer {scoring.call!r} takes no {name}")
    return given


def takes_offset(scoring, model) -> bool:
    """Whether an offset is the scorer's; that of others is of the predictions they ask for."""
    if scoring.given is None or not scoring.looks_at_predictions:
        return True
    if not routing_enabled():
        return scoring.takes(model, "offset")
    requests = scoring.call.get_metadata_routing().score.requests
    return bool(requests.get("offset"))


def splitter(search, y, params, to_split):
    """The splitter, and what it gets; the default one of rankers keeps groups whole."""
    prefix, model = last_step(search.estimator)
    cv = search.cv
    if isinstance(model, BaseRanker) and (cv is None or isinstance(cv, Integral)):
        groups = unpack_target(y, params.get("groups", params.get(f"{prefix}groups")))[1]
        if groups is not None:
            return GroupKFold(5 if cv is None else cv), {"groups": groups}
    return check_cv(cv, y, classifier=is_classifier(model)), to_split
