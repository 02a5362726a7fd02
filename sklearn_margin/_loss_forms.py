"""A loss of any family as a function of one vector of scores, for those who check it."""

import numpy as np

from sklearn_margin.losses.base import Loss
from sklearn_margin.losses.batch import BatchLoss
from sklearn_margin.losses.embedding.base import EmbeddingLoss
from sklearn_margin.losses.listwise import ListwiseSoftmax
from sklearn_margin.losses.multiclass import MulticlassLoss
from sklearn_margin.losses.pairs.base import PairwiseLoss
from sklearn_margin.losses.pairs.index import PairIndex
from sklearn_margin.losses.pointwise import RegressionLoss
from sklearn_margin.losses.probability import ProbabilityLoss

__all__ = ["BatchForm", "EmbeddingForm", "Form", "PairForm", "RowForm", "ScoreForm", "author_of",
           "forms_of", "has_formulas_of_others", "show"]  # fmt: skip

#: Distances from 0, or from the target, at which losses of one score are tried.
_DISTANCES = (0.0, 0.01, 0.3, 1.0, 2.3, 7.0, 20.0)


def is_ours(cls: type) -> bool:
    """Whether a class is part of this package."""
    return cls.__module__.partition(".")[0] == __package__


def author_of(loss: Loss) -> Loss:
    """The loss that somebody wrote, inside the forms that this package gives it."""
    if is_ours(type(loss)):
        for value in loss.get_params(deep=False).values():
            if isinstance(value, Loss):
                return author_of(value)
    return loss


def has_formulas_of_others(loss: Loss) -> bool:
    """Whether something that the loss is computed by is not part of this package."""
    cls = type(author_of(loss))
    formulas = {"value", "gradient", "batch_value_gradient", *cls.kernel_methods}
    return any(formulas & set(vars(base)) for base in cls.__mro__ if not is_ours(base))


class Form:
    """A loss as a function of a vector x, for each of several cases (labels).

    Parameters
    ----------
    loss : Loss

    Attributes
    ----------
    names : tuple of str
        What the author calls the value, the gradient and the Hessian.
    has_hessian : bool
        Whether ``product`` is there.
    exact_hessian : bool
        Whether it must be the derivative of the gradient, and not only positive semi-definite.
    """

    names = ("sample_value", "sample_gradient", "sample_hessian")

    def __init__(self, loss):
        self.loss = loss
        author = author_of(loss)
        self.author = type(author).__name__
        self.has_hessian = getattr(loss, "has_hessian", False)
        if isinstance(author, ProbabilityLoss):
            self.names = ("phi", "phi_prime", "phi_second")
        elif isinstance(author, PairwiseLoss):
            self.names = ("pair_value", "pair_gradient", "pair_hessian")

    exact_hessian = True

    def value_gradient(self, case, x) -> tuple[float, np.ndarray]:
        """Value and gradient at ``x``."""
        value, gradient = self._value_gradient(case, x)
        if np.ndim(value) or isinstance(value, (complex, np.complexfloating)):
            raise ValueError(f"{self.author}.{self.names[0]} must return a number, got {value!r}")
        return float(value), np.ravel(gradient)

    def product(self, case, x, v) -> np.ndarray:
        """Product of the Hessian at ``x`` with ``v``."""
        raise NotImplementedError

    def points(self, rng):
        """Cases and points to try: (case, x), x being a score as a user may have."""
        raise NotImplementedError

    def line(self, rng, case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A line through the space of x: a point, a direction, and how far to go, in steps."""
        raise NotImplementedError

    def size(self, case, x) -> float:
        """The largest of labels and scores."""
        return float(np.abs(x).max())

    def where(self, case, x) -> str:
        """Arguments of the author's methods, for messages."""
        raise NotImplementedError

    def sample(self, rng) -> tuple:
        """Labels, scores and further arguments of ``value``, of some rows."""
        raise NotImplementedError

    def moved(self, x, rng) -> np.ndarray:
        """Scores that a loss says are as good as ``x``: all scores of a row plus a constant."""
        return (x.reshape(-1, self.n_classes) + rng.normal()).ravel()

    def gave(self, j, x) -> str:
        """How entry j of a gradient is spoken of."""
        return f"gave out[{j}] ="


def show(x) -> str:
    """A vector or a number, for messages."""
    if np.ndim(x) == 0:
        return f"{float(x):.6g}"
    shown = [show(part) for part in x[:8]]
    return f"[{', '.join(shown)}{', …' if len(x) > 8 else ''}]"


class ScoreForm(Form):
    """A loss of one score; a case is a label."""

    def __init__(self, loss, labels=None):
        super().__init__(loss)
        if labels is None:
            regresses = isinstance(loss, RegressionLoss)
            labels = (-1.7, 0.0, 0.4, 2.5) if regresses else (-1.0, 1.0)
        self.labels = np.asarray(labels, dtype=np.float64)

    def _arrays(self, case, x):
        return np.array([case], dtype=np.float64), np.array(x, dtype=np.float64), np.ones(1)

    def _value_gradient(self, case, x):
        y, z, s = self._arrays(case, x)
        gradient, hessian = np.empty(1), np.empty(1)
        if self.has_hessian:
            return self.loss.scores_gradient_hessian(y, z, s, gradient, hessian), gradient
        return self.loss.scores_value_gradient(y, z, s, gradient), gradient

    def product(self, case, x, v):
        y, z, s = self._arrays(case, x)
        gradient, hessian = np.empty(1), np.empty(1)
        self.loss.scores_gradient_hessian(y, z, s, gradient, hessian)
        return hessian * v

    def points(self, rng):
        unit = self._unit()
        steps = np.unique([*_DISTANCES, *np.negative(_DISTANCES), *rng.normal(scale=2.0, size=8)])
        for y in self.labels:
            for step in steps:
                yield y, np.array([self._centre(y) + unit * step])

    def _unit(self):
        return max(1.0, float(np.ptp(self.labels))) if self._centre(1.0) else 1.0

    def _centre(self, y):
        return y if isinstance(self.loss, RegressionLoss) else 0.0

    def line(self, rng, case):
        far = 10.0 * self._unit()
        return np.array([self._centre(case)]), np.ones(1), np.linspace(-far, far, 101)

    def sample(self, rng):
        y = np.resize(self.labels, 9)
        return y, np.array([self._centre(label) for label in y]) + rng.normal(size=9), ()

    def size(self, case, x):
        return max(super().size(case, x), abs(float(case)))

    def where(self, case, x):
        return f"y={show(case)}, z={show(x[0])}"

    def gave(self, j, x):
        return "returned"


class PairForm(Form):
    """A pairwise loss; x is a score difference, and there is one case."""

    def __init__(self, loss):
        super().__init__(loss)
        self.index = PairIndex(np.array([0.0, 1.0]), None, np.ones(2), "uniform")

    def _value_gradient(self, case, x):
        out = np.empty(2)
        value = self.index.value_gradient(self.loss, np.array([0.0, x[0]]), out)
        return value, out[1:]

    def product(self, case, x, v):
        out = np.empty(2)
        z, v = np.array([0.0, x[0]]), np.array([0.0, v[0]])
        self.index.hessian_product(self.loss, z, v, out)
        return out[1:]

    def points(self, rng):
        steps = [*_DISTANCES, *np.negative(_DISTANCES), *rng.normal(scale=2.0, size=8)]
        return ((None, np.array([d])) for d in np.unique(steps))

    def line(self, rng, case):
        return np.zeros(1), np.ones(1), np.linspace(-10, 10, 101)

    def sample(self, rng):
        return np.resize([0.0, 2.0, 1.0], 9), rng.normal(size=9), ()

    def where(self, case, x):
        return f"d={show(x[0])}"

    def gave(self, j, x):
        return "returned"


class ListForm(Form):
    """A loss of lists; x are the scores of two lists, and there is one case."""

    names = ("value", "gradient", "")

    def __init__(self, loss):
        super().__init__(loss)
        self.labels = np.array([0.0, 2.0, 1.0, 0.0, 3.0, 1.0, 1.0])
        self.index = loss.index(self.labels, np.array([0, 0, 0, 0, 1, 1, 1]), np.ones(7))

    def _value_gradient(self, case, x):
        out = np.empty(len(x))
        return self.index.value_gradient(self.loss, np.array(x), out), out

    def product(self, case, x, v):
        out = np.empty(len(x))
        self.index.hessian_product(self.loss, np.array(x), np.array(v), out)
        return out

    def points(self, rng):
        for spread in (0.0, 0.3, 1.0, 2.0, 5.0):
            yield None, spread * rng.normal(size=len(self.labels))

    def line(self, rng, case):
        start, direction = rng.normal(size=(2, len(self.labels)))
        return start, direction, np.linspace(-4, 4, 101)

    def where(self, case, x):
        return f"y={show(self.labels)}, z={show(x)}"


class RowForm(Form):
    """A loss of a row of scores; a case is the index of the true class."""

    def __init__(self, loss, n_classes):
        super().__init__(loss)
        self.n_classes = n_classes
        if self.names[2] == "sample_hessian":
            self.names = (*self.names[:2], "curvature_product")

    @property
    def exact_hessian(self):
        return self.loss.convex

    def _value_gradient(self, case, x):
        z, out = np.array(x[None, :]), np.empty((1, self.n_classes))
        return self.loss.scores_value_gradient(np.array([case]), z, np.ones(1), out), out

    def product(self, case, x, v):
        k, z, s = np.array([case]), np.array(x[None, :]), np.ones(1)
        gradient, curvature, out = (np.empty_like(z) for _ in range(3))
        self.loss.scores_curvature(k, z, s, gradient, curvature)
        self.loss.scores_product(k, curvature, s, np.array(v[None, :]), out)
        return out[0]

    def points(self, rng):
        spreads = (0.0, 0.3, 1.0, 1.0, 2.0, 5.0, 10.0)
        for k in range(self.n_classes):
            for spread in spreads:
                yield k, spread * rng.normal(size=self.n_classes)

    def line(self, rng, case):
        start, direction = rng.normal(size=(2, self.n_classes))
        return 2 * start, direction, np.linspace(-4, 4, 101)

    def sample(self, rng):
        return np.resize(np.arange(self.n_classes), 9), rng.normal(size=(9, self.n_classes)), ()

    def where(self, case, x):
        return f"k={case}, z={show(x)}"


class BatchForm(Form):
    """A loss of a batch; a case is labels and weights, and x the scores."""

    names = ("batch_value", "batch_gradient", "")

    def __init__(self, loss, labels=None, n_classes=0):
        super().__init__(loss)
        self.n_classes = n_classes
        if labels is None:
            labels = np.arange(7) % n_classes if n_classes else np.array([1, -1, -1, 1, 1, -1, 1])
        self.labels = np.asarray(labels, dtype=np.int64 if n_classes else np.float64)

    def _value_gradient(self, case, x):
        y, s = case
        z = np.array(x.reshape(self.shape))
        out = np.empty_like(z)
        return self.loss.scores_value_gradient(y, z, s, out), out

    @property
    def shape(self):
        """Shape of the scores."""
        n = len(self.labels)
        return (n, self.n_classes) if self.n_classes else (n,)

    def points(self, rng):
        n = len(self.labels)
        for spread in (0.0, 0.3, 1.0, 2.0, 5.0):
            for weights in (np.ones(n), rng.uniform(0.2, 3.0, n)):
                if self.loss.knows_weights or np.ptp(weights) == 0:
                    yield (self.labels, weights), spread * rng.normal(size=np.prod(self.shape))

    def line(self, rng, case):
        start, direction = rng.normal(size=(2, np.prod(self.shape)))
        return start, direction, np.linspace(-4, 4, 101)

    def sample(self, rng):
        return self.labels, rng.normal(size=self.shape), ()

    def where(self, case, x):
        weights = "" if np.ptp(case[1]) == 0 else f", s={show(case[1])}"
        return f"y={show(case[0])}, z={show(x.reshape(self.shape))}{weights}"

    def gave(self, j, x):
        index = np.unravel_index(j, self.shape)
        return f"gave out[{', '.join(str(i) for i in index)}] ="


class EmbeddingForm(Form):
    """A loss of embeddings; a case is labels and weights, x the embeddings and what is learned."""

    def __init__(self, loss, labels=None, n_components=2, n_classes=None):
        super().__init__(loss)
        labels = np.arange(12) % 3 if labels is None else np.asarray(labels)
        self.labels = np.unique(labels, return_inverse=True)[1].astype(np.intp)
        self.n_classes = int(self.labels.max()) + 1 if n_classes is None else n_classes
        if n_classes is not None:
            self.labels = labels.astype(np.intp)
        self.shape = (len(labels), n_components)
        self.function = loss.batch_function()
        direct = self.function == loss.batch_value_gradient
        self.names = ("batch_value_gradient",) * 2 if direct else ("value", "gradient")

    def _value_gradient(self, case, x):
        labels, s, shapes = case
        Z, *auxiliary = self._split(x, shapes)
        auxiliary = [a if a.ndim else float(a) for a in auxiliary]
        value, *parts = self.function(labels, Z, s, *auxiliary)
        return value, np.concatenate([np.ravel(part) for part in parts])

    def _split(self, x, shapes):
        shapes = [self.shape, *shapes]
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        parts = np.split(np.array(x), ends[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def points(self, rng):
        state = np.random.RandomState(rng.integers(2**31))
        for spread in (0.5, 1.0, 2.0):
            Z = spread * rng.normal(size=self.shape)
            auxiliary = self.loss.start(self.labels, Z, self.n_classes, state)
            shapes = [np.shape(a) for a in auxiliary]
            x = np.concatenate([np.ravel(part) for part in (Z, *auxiliary)])
            yield (self.labels, np.ones(len(Z)), shapes), x

    def line(self, rng, case):
        x = next(self.points(rng))[1]
        return x, rng.normal(size=len(x)), np.linspace(-2, 2, 101)

    def sample(self, rng):
        (_, _, shapes), x = next(self.points(rng))
        Z, *auxiliary = self._split(x, shapes)
        return self.labels, Z, auxiliary

    def moved(self, x, rng):
        rows = x[: np.prod(self.shape)].reshape(self.shape) * rng.uniform(
            0.5, 2, (len(self.labels), 1)
        )
        return np.concatenate([rows.ravel(), x[rows.size :]])

    def where(self, case, x):
        return f"labels={show(case[0])}, Z={show(self._split(x, case[2])[0])}"

    def gave(self, j, x):
        if j < np.prod(self.shape):
            i, c = np.unravel_index(j, self.shape)
            return f"gave, for Z[{i}, {c}],"
        return f"gave, for {', '.join(self.loss.auxiliary)},"


def forms_of(loss: Loss, y=None) -> list[Form]:
    """The forms in which a loss can be used.

    Parameters
    ----------
    loss : Loss
    y : ndarray of shape (n,) or None
        Labels it is for.
    """
    if isinstance(loss, EmbeddingLoss):
        return [EmbeddingForm(loss, y)]
    if isinstance(loss, PairwiseLoss):
        return [PairForm(loss)]
    if isinstance(loss, ListwiseSoftmax):
        return [ListForm(loss)]
    several = loss.multiclass
    by_class = isinstance(loss, MulticlassLoss) or several is not None
    if isinstance(loss, BatchLoss):
        if y is not None and np.min(y) >= 0:
            return [BatchForm(several or loss, y, int(np.max(y)) + 1)]
        forms = [BatchForm(loss, y)]
        return forms if several is None else [*forms, BatchForm(several, n_classes=3)]
    forms = []
    if by_class and (y is None or np.min(y) >= 0):
        counts = range(3, 20) if y is None else [int(np.max(y)) + 1]
        counts = [n for n in counts if _serves(loss, n)]
        forms += [RowForm(several or loss, n) for n in counts[:1]]
        y = None
    if _serves(loss, 2):
        forms.append(ScoreForm(loss.for_classes(2), y))
    return forms


def _serves(loss, n_classes):
    """Whether the parameters of a loss fit a number of classes."""
    try:
        loss.check_classes(n_classes)
    except ValueError:
        return False
    return True
