"""Linear classifiers."""

import copy

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.callback import with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from sklearn_margin._base import LinearModel, resolve_loss, stack, uses_sgd
from sklearn_margin._calibration import calibrate, held_out_scores
from sklearn_margin._hints import INIT_HINTS, available_if
from sklearn_margin.losses import (
    BatchLoss,
    CrammerSinger,
    CrossEntropy,
    Dice,
    Focal,
    Hinge,
    Logistic,
    ModifiedHuber,
    MulticlassLoss,
    PointwiseLoss,
    Poly,
    RegressionLoss,
    SmoothedHinge,
    SquaredHinge,
    WestonWatkins,
)
from sklearn_margin.losses.base import check_choice, check_number, check_weights, normalize_weights
from sklearn_margin.objective import MulticlassObjective, PointwiseObjective

__all__ = ["HingeClassifier", "LinearClassifier"]

_LOSSES = {
    "crammer_singer": CrammerSinger,
    "cross_entropy": CrossEntropy,
    "dice": Dice,
    "focal": Focal,
    "hinge": Hinge,
    "logistic": Logistic,
    "modified_huber": ModifiedHuber,
    "poly": Poly,
    "smoothed_hinge": SmoothedHinge,
    "squared_hinge": SquaredHinge,
    "weston_watkins": WestonWatkins,
}


def _has_probability(estimator):
    loss = estimator._fitted_loss()
    if hasattr(loss, "probability"):
        return True
    raise AttributeError(
        f"predict_proba is not available: the loss {type(loss).__name__} defines no probabilities"
    )


def _positives(classes):
    """The class that is +1, by problem."""
    return classes[1:] if len(classes) == 2 else classes


def _by_class(probability):
    """Probabilities of all classes from those of the second of two, or of each against the rest."""
    if probability.ndim == 1:
        return np.column_stack([1.0 - probability, probability])
    total = probability.sum(axis=1, keepdims=True)
    uniform = np.full_like(probability, 1.0 / probability.shape[1])
    return np.divide(probability, total, out=uniform, where=total > 0)


def _is_calibrated(estimator):
    fitted = hasattr(estimator, "coef_")
    if hasattr(estimator, "calibrators_") if fitted else estimator.probability is not None:
        return True
    raise AttributeError(
        "predict_proba is not available: fit with probability='sigmoid' or 'isotonic'"
        + (f", this one was not, whatever it is now: {estimator.probability!r}" if fitted else "")
    )


class _BaseClassifier(ClassifierMixin, LinearModel):
    """Fit and predict of classifiers; subclasses say which loss."""

    def _loss(self):
        raise NotImplementedError

    def _fitted_loss(self):
        """The loss that the coefficients are of, whatever ``loss`` may be by now."""
        kept = getattr(self, "_loss_of_fit", None)
        return self._loss() if kept is None else kept

    @with_callbacks
    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None):
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Labels of any type.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights; 2 counts as two equal rows, 0 as none.
        X_val, y_val : array-like, default=None
            Validation set for ``solver=SGD(early_stopping=True)``, in place of a part of the
            training rows.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError, TypeError
            For a wrong parameter or wrong data; the estimator stays as it was.
        """
        with self._fit_task(X, y) as task:
            objectives, X, y, classes = self._prepare(X, y, sample_weight)
            task.X, task.y = X, y
            held_out = self._validation_rows(X_val, y_val, objectives[0].rows)
            if held_out is not None:
                task.validation = self._validation(held_out, y_val, classes)
            solutions = self._minimize(
                objectives, self._previous(objectives, classes), task,
                lambda k, coef, b: self._partly_fitted(classes, k, coef, b),
                sample_weight=sample_weight,
            )  # fmt: skip
            coef, intercept = stack(solutions, X.dtype)
            self._calibrate(objectives, coef, intercept, y, classes, sample_weight)
            self.classes_, self.coef_, self.intercept_ = classes, coef, intercept
            self._loss_of_fit = self._kept_loss(classes)
            self.__dict__.pop("_stream_states", None)
        return self

    def _calibrate(self, objectives, coef, intercept, y, classes, sample_weight):
        """What a subclass learns from the solution."""

    def _prepare(self, X, y, sample_weight=None):
        self._check_common_params()
        loss = self._loss()
        X, y = self._validate(X, y)
        check_classification_targets(y)
        s = normalize_weights(sample_weight, len(y), X.dtype)
        classes = np.unique(y[s > 0])
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 classes with a positive weight, got "
                f"{len(classes)} class: {classes}"
            )
        if self.class_weight is not None:
            s = s * self._class_factors(y, s, classes)
            if np.count_nonzero([s[y == label].any() for label in classes]) < 2:
                raise ValueError(
                    f"class_weight={self.class_weight!r} leaves less than 2 classes with a "
                    "positive weight: one class cannot be fitted"
                )
            s = normalize_weights(s, len(y), X.dtype)
        if not loss.splits:  # the total of the weights matters
            s *= check_weights(sample_weight, len(y)).sum()
        rows = self._rows(X, self.fit_intercept)
        return self._objectives(loss, rows, y, s, classes), X, y, classes

    def _objectives(self, loss, rows, y, s, classes):
        """One objective for all classes, or one for each against the rest."""
        loss = loss.for_classes(len(classes))
        if not loss.splits:
            loss.check_batch_weights(s)
        settings = {
            "penalty": self._penalty(), "fit_intercept": self.fit_intercept,
        }  # fmt: skip
        if len(classes) > 2 and isinstance(loss, (MulticlassLoss, BatchLoss)):
            # Rows of weight 0 may have a label that is no class.
            index = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
            return [MulticlassObjective(loss, rows, index, s, n_outputs=len(classes), **settings)]
        targets = (np.where(y == label, 1, -1).astype(rows.dtype) for label in _positives(classes))
        return [PointwiseObjective(loss, rows, target, s, **settings) for target in targets]

    def _validation(self, rows, y_val, classes):
        """Objective of a validation set, by problem."""
        y_val = column_or_1d(y_val, input_name="y_val")
        check_consistent_length(rows.X, y_val)
        unknown = np.setdiff1d(y_val, classes)
        if len(unknown):
            raise ValueError(f"y_val holds labels that are not in y: {unknown}")
        loss = self._loss()
        equal = normalize_weights(None, len(y_val), rows.dtype) * (1 if loss.splits else len(y_val))
        return self._objectives(loss, rows, y_val, equal, classes)

    def _previous(self, objectives, classes):
        """Solutions to start from."""
        n_features = objectives[0].rows.shape[1]
        if not (self._warm(n_features) and np.array_equal(self.classes_, classes)):
            return None
        return self._solutions(objectives)

    def _solutions(self, objectives):
        """Coefficients and intercept of each problem."""
        n_scores = sum(objective.n_outputs for objective in objectives)
        n_features = objectives[0].rows.shape[1]
        self._check_stored(self._dense_coef(), self.intercept_, n_scores, n_features)
        if objectives[0].n_outputs > 1:
            return [(self._dense_coef(), self.intercept_)]
        return list(zip(self._dense_coef(), self.intercept_, strict=True))

    def _partly_fitted(self, classes, k, coef, intercept):
        """Fitted attributes while problem k of several is being solved, for callbacks."""
        fitted = {"classes_": classes, "_loss_of_fit": self._kept_loss(classes)}
        if coef.ndim == 2:
            return {**fitted, "coef_": coef, "intercept_": np.array(intercept)}
        n_problems = 1 if len(classes) == 2 else len(classes)
        all_coef, all_intercept = np.zeros((n_problems, len(coef))), np.zeros(n_problems)
        all_coef[k], all_intercept[k] = coef, intercept
        return {**fitted, "coef_": all_coef, "intercept_": all_intercept}

    def _kept_loss(self, classes):
        """The loss in the form for these classes: a copy, for parameters may be set anew."""
        return copy.deepcopy(self._loss().for_classes(len(classes)))

    def _class_factors(self, y, s, classes):
        """Class weight of each row; 0 for rows of no class, which have weight 0."""
        if self.class_weight is None:
            return np.ones(len(y))
        factors = [1.0] * len(classes)
        if isinstance(self.class_weight, dict):
            unknown = set(self.class_weight) - set(classes.tolist())
            if unknown:
                raise ValueError(f"class_weight names labels that are not in y: {unknown}")
            for k, label in enumerate(classes.tolist()):
                factors[k] = self.class_weight.get(label, 1.0)
                check_number(factors[k], f"class_weight[{label!r}]", minimum=0)
        elif isinstance(self.class_weight, str) and self.class_weight == "balanced":
            factors = [1.0 / s[y == label].sum() for label in classes]
        else:
            raise ValueError(
                f"class_weight must be a dict, 'balanced' or None, got {self.class_weight!r}"
            )
        known = np.isin(y, classes)
        by_row = np.zeros(len(y))
        by_row[known] = np.array(factors)[np.searchsorted(classes, y[known])]
        return by_row

    @available_if(uses_sgd)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Learn from a batch of rows: one pass of stochastic gradient descent.

        Features are used as they are, in any units; the steps are learned from them (see ``SGD``).
        Rows in random order are learned from best.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed at the first call.
        sample_weight : float or array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError, TypeError
            For a wrong parameter or wrong data, or if ``fit_intercept`` or the number of scores of
            the loss is not that of earlier calls; the estimator stays as it was.
        """
        with self._unchanged_if_failed():
            self._check_common_params()
            loss = self._loss()
            first = not hasattr(self, "coef_")
            if first and classes is None:
                raise ValueError("classes must be given at the first call of partial_fit")
            X, y = self._validate(X, y, reset=first)
            check_classification_targets(y)
            known = np.unique(column_or_1d(classes)) if first else self.classes_
            if classes is not None and not np.array_equal(np.unique(classes), known):
                raise ValueError(f"classes={classes!r} differs from earlier calls: {known}")
            unknown = np.setdiff1d(y, known)
            if len(unknown):
                raise ValueError(f"y holds labels that are not in classes: {unknown}")
            if len(known) < 2:
                raise ValueError(f"classes must hold at least 2 classes, got {known}")
            if isinstance(self.class_weight, str):
                raise ValueError(
                    f"class_weight={self.class_weight!r} needs all data at once: pass a dict of "
                    "weights to partial_fit"
                )
            # Weights count relative to 1, for they must compare across batches.
            s = check_weights(sample_weight, len(y)) * self._class_factors(y, None, known)
            s = (s / (len(y) if loss.splits else 1)).astype(X.dtype, copy=False)
            self._stream_classes(loss, X, y, s, known, first)
        return self

    def _stream_classes(self, loss, X, y, s, classes, first):
        rows = self._rows(X, center=False)
        objectives = self._objectives(loss, rows, y, s, classes)
        states = getattr(self, "_stream_states", None) or [None] * len(objectives)
        if len(states) != len(objectives):
            raise ValueError(
                "partial_fit cannot change between a loss of all classes at once and one that is "
                f"fitted one against the rest: got loss={loss!r}"
            )
        previous = [None] * len(objectives) if first else self._solutions(objectives)
        found = [
            self._stream(*problem) for problem in zip(objectives, states, previous, strict=True)
        ]
        states = [state for state, *_ in found]
        coef, intercept = stack([solution for _, *solution in found], X.dtype)
        self.classes_, self.coef_, self.intercept_ = classes, coef, intercept
        self._loss_of_fit = self._kept_loss(classes)
        self._stream_states, self.n_iter_ = states, 1

    def decision_function(self, X):
        """Scores: positive for the second of two classes, highest for the class predicted.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        return self._scores(X)

    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        scores = self.decision_function(X)
        index = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_[index]

    @available_if(_has_probability)
    def predict_proba(self, X):
        """Predict probabilities of classes.

        Available if the loss defines probabilities. Those of a loss that is fitted one against
        the rest are normalised.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        scores = self.decision_function(X)
        loss = self._fitted_loss()
        probability = loss.probability(scores)
        return probability if isinstance(loss, MulticlassLoss) else _by_class(probability)

    @available_if(_has_probability)
    def predict_log_proba(self, X):
        """Logarithms of ``predict_proba``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return np.log(self.predict_proba(X))


class LinearClassifier(_BaseClassifier):
    """Linear classification with a loss of your choice.

    Minimises Σ s_i ℓ(y_i, x_i·w + b) / Σ s_i + alpha·((1 − l1_ratio)/2·‖w‖² + l1_ratio·‖w‖₁)
    with y_i ∈ {−1, +1}. The intercept b is not penalised.

    With more than two classes "crammer_singer", "weston_watkins", "logistic" (or "cross_entropy"),
    "focal", "poly" and "dice" score all classes at once: w and b have a row and an entry for
    each class, whose penalties are added. The other losses are fitted one against the rest.

    A fit of a loss that is not convex (focal, Dice, Poly beyond its first coefficient) starts from
    the optimum of the cross entropy and descends from there: it is reproducible, and never worse
    than its start.

    Parameters
    ----------
    loss : str or Loss, default="hinge"
        A name (the class name in snake case: "hinge", "squared_hinge", "smoothed_hinge",
        "modified_huber", "logistic" or "cross_entropy", "focal", "poly", "dice",
        "crammer_singer", "weston_watkins") or a loss object for classes.
    alpha : float, default=1e-4
        Strength of the penalty. The loss is a mean, so alpha does not depend on the number
        of samples; alpha = 1/(C·n) for a sum with factor C.
    l1_ratio : float, default=0.0
        Share of the L1 penalty, from 0 to 1.
    fit_intercept : bool, default=True
        Whether to fit b.
    solver : str or Solver, default="auto"
        "newton", "coordinate_descent", "lbfgs", "interior_point", "dual_cd", "smoothing",
        "subgradient", "sgd", a configured solver such as ``SGD(batch_size=32)``, or "auto",
        which chooses by loss, penalty and shape.
    tol : float, default=1e-4
        Relative accuracy; see the solvers. Small problems are solved more accurately.
    max_iter : int, default=1000
        Most iterations (epochs of "sgd").
    warm_start : bool, default=False
        Whether to start from the previous solution.
    n_jobs : int, default=None
        Threads; None is one. The result is the same, bit for bit, for any number.
    random_state : int, RandomState or None, default=None
        Seed of "sgd".
    verbose : int, default=0
        Whether to print the objective after each iteration.
    class_weight : dict, "balanced" or None, default=None
        Factor of the weights of each class; "balanced" gives all classes the same total.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients w.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts b.
    n_iter_ : int
        Most iterations of the solver over the classes.
    solver_ : str
        Name of the solver.
    dual_gap_ : float or ndarray of shape (n_classes,)
        Bound on the distance to the minimum, where the solver has one.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X had string column names.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn_margin import LinearClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> LinearClassifier(loss="logistic").fit(X, y).score(X, y) > 0.95
    True
    """

    def __init__(
        self,
        loss="hinge",
        *,
        alpha=1e-4,
        l1_ratio=0.0,
        fit_intercept=True,
        solver="auto",
        tol=1e-4,
        max_iter=1000,
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
        class_weight=None,
    ):
        self.loss = loss
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.class_weight = class_weight

    _losses = _LOSSES

    def _loss(self):
        loss = resolve_loss(self.loss, (PointwiseLoss, MulticlassLoss, BatchLoss), _LOSSES)
        if isinstance(loss, RegressionLoss):
            raise TypeError(f"loss {loss!r} is for regression: use LinearRegressor")
        return loss


class HingeClassifier(_BaseClassifier):
    """Linear support vector machine: ``LinearClassifier(loss=Hinge(margin))``.

    Minimises Σ s_i [margin − y_i (x_i·w + b)]₊ / Σ s_i + penalty, exactly, with a free
    intercept.

    With ``probability`` the scores are calibrated by cross-fitting: each of five stratified folds
    is scored by a model that did not see it, whose fit starts from the solution on all rows,
    and one map from scores to probabilities is fitted to all of them. The coefficients stay
    those of all rows. Labels are predicted by the sign of the score, not by the probability.

    Parameters
    ----------
    margin : float, default=1.0
        Margin below which a sample costs; 0 gives the perceptron loss.
    alpha, l1_ratio, fit_intercept, solver, tol, max_iter, warm_start, n_jobs, random_state, \
verbose, class_weight
        As in ``LinearClassifier``.
    probability : {"sigmoid", "isotonic"} or None, default=None
        How ``predict_proba`` maps scores to probabilities: by a logistic curve [1]_, or by any
        increasing function, which needs some thousand rows [2]_. None is without
        ``predict_proba``. Class weights do not change what is estimated: the probabilities of
        the classes as frequent as they are in the training data.

    Attributes
    ----------
    calibrators_ : list
        By problem, the map from scores to probabilities, with a method ``predict``.
    classes_, coef_, intercept_, n_iter_, solver_, dual_gap_, n_features_in_, feature_names_in_
        As in ``LinearClassifier``.

    References
    ----------
    .. [1] Platt, "Probabilistic outputs for support vector machines", Advances in Large Margin
       Classifiers, 1999.
    .. [2] Zadrozny & Elkan, "Transforming classifier scores into accurate multiclass probability
       estimates", KDD 2002.

    Examples
    --------
    >>> from sklearn_margin import HingeClassifier
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], ["a", "a", "b", "b"]
    >>> HingeClassifier().fit(X, y).predict([[-3.0], [0.5]])
    array(['a', 'b'], dtype='<U1')
    """

    def __init__(
        self,
        *,
        margin=1.0,
        alpha=1e-4,
        l1_ratio=0.0,
        fit_intercept=True,
        solver="auto",
        tol=1e-4,
        max_iter=1000,
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
        class_weight=None,
        probability=None,
    ):
        self.margin = margin
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.class_weight = class_weight
        self.probability = probability

    _init_hints = INIT_HINTS | {"loss": "for other losses there is LinearClassifier(loss=...)"}

    def _loss(self):
        loss = Hinge(margin=self.margin)
        loss.check_params()
        if isinstance(self.probability, (bool, np.bool_)):
            raise ValueError(
                f"probability must be 'sigmoid', 'isotonic' or None, got {self.probability}: what "
                "SVC(probability=True) does is 'sigmoid', and None is without probabilities"
            )
        if self.probability is not None:
            check_choice(self.probability, "probability", ("sigmoid", "isotonic"))
        return loss

    def _calibrate(self, objectives, coef, intercept, y, classes, sample_weight):
        self.__dict__.pop("calibrators_", None)
        if self.probability is None:
            return
        with objectives[0].rows.session():
            scores = held_out_scores(
                objectives, list(zip(coef, intercept, strict=True)), y, solver=self.solver,
                tol=self.tol, max_iter=self.max_iter,
                random_state=check_random_state(self.random_state),
            )  # fmt: skip
        # The weights of the rows, without those of the classes.
        weight = check_weights(sample_weight, len(y))
        used = objectives[0].s > 0
        self.calibrators_ = [
            calibrate(self.probability, f[used], objective.y[used] > 0, weight[used])
            for f, objective in zip(scores, objectives, strict=True)
        ]

    @available_if(_is_calibrated)
    def predict_proba(self, X):
        """Predict probabilities of classes; those of several classes are normalised.

        Available if ``probability`` is set.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        scores = self.decision_function(X)
        check_is_fitted(self, "calibrators_")
        if scores.ndim == 1:
            return _by_class(self.calibrators_[0].predict(scores))
        columns = zip(self.calibrators_, scores.T, strict=True)
        return _by_class(np.column_stack([c.predict(column) for c, column in columns]))

    @available_if(_is_calibrated)
    def predict_log_proba(self, X):
        """Logarithms of ``predict_proba``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return np.log(self.predict_proba(X))

    def _stream_classes(self, *args):
        if self.probability is not None:
            raise ValueError(
                f"probability={self.probability!r} needs all data at once: partial_fit cannot "
                "calibrate"
            )
        super()._stream_classes(*args)
        self.__dict__.pop("calibrators_", None)
