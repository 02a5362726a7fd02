"""ONNX graphs of fitted models.

skl2onnx asks an estimator itself for a parser, a shape calculator and a converter, so that users
have nothing to register. Its options belong to classes that it knows, though: they are told to it
when it first asks. Nothing here imports skl2onnx or onnx before that.

Graphs have plain operators only, which run in float32 and float64 alike.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.isotonic import IsotonicRegression
from sklearn.utils.validation import check_is_fitted

from sklearn_margin._calibration import Sigmoid
from sklearn_margin.losses import CrossEntropy, Logistic, ProbabilityLoss
from sklearn_margin.losses.probability import Softmax

__all__ = ["ConvertsToOnnx"]

#: How the probabilities of a loss come from scores, by the function that computes them.
_LINKS = {
    Logistic.probability: "Sigmoid",
    ProbabilityLoss.probability: "Sigmoid",
    CrossEntropy.probability: "Softmax",
    Softmax.probability: "Softmax",
}
_OPTIONS = {"raw_scores": [True, False], "zipmap": [True, False, "columns"]}


class ConvertsToOnnx:
    """What skl2onnx asks estimators for."""

    def onnx_parser(self) -> Callable[..., Any]:
        """For ``skl2onnx.to_onnx``: what declares the outputs of this model.

        It also makes the class known to skl2onnx, which some of its converters need to be asked for
        beforehand: those of ``CalibratedClassifierCV``, voting and stacking.

        Returns
        -------
        callable
            Raises ``NotFittedError`` if the model is not fitted, ``ValueError`` for labels that
            ONNX cannot hold, and ``NotImplementedError`` for probabilities that it cannot compute.
        """
        return _parser(self)

    def onnx_shape_calculator(self) -> Callable[..., Any]:
        """For ``skl2onnx.to_onnx``: what computes the shapes of the outputs.

        Returns
        -------
        callable
        """
        return _set_shapes

    def onnx_converter(self) -> Callable[..., Any]:
        """For ``skl2onnx.to_onnx``: what writes the graph of this model.

        Returns
        -------
        callable
        """
        return _convert


# --- what skl2onnx asks for ---------------------------------------------------------------------


def _parser(estimator):
    """A function that declares the outputs of an estimator; makes its class known to skl2onnx."""
    from skl2onnx import update_registered_converter

    cls = type(estimator)
    alias = f"{cls.__module__}.{cls.__qualname__}"

    def parse(scope, model, inputs, custom_parsers=None):
        operator = scope.declare_local_operator(alias, model)
        operator.inputs = inputs
        operator.outputs.extend(_outputs(scope, model, inputs))
        return operator.outputs

    options = _OPTIONS if is_classifier(estimator) else {}
    update_registered_converter(cls, alias, _set_shapes, _convert, parser=parse, options=options)
    return lambda scope, inputs: _outputs(scope, estimator, inputs)


def _outputs(scope, model, inputs):
    """Variables of the outputs; those of classifiers are named as skl2onnx names them."""
    from skl2onnx.common.data_types import DictionaryType, SequenceType
    from skl2onnx.common.data_types import FloatTensorType as Float

    check_is_fitted(model)
    real, declare = _real_type(inputs), scope.declare_local_variable
    if not is_classifier(model):
        return [declare("variable", real())]
    options = scope.get_options(model, {"raw_scores": False, "zipmap": True})
    labels = _labels(model.classes_)
    kind = _label_type(labels)
    has_probability = _has_probability(model)
    if has_probability and not options["raw_scores"]:
        _link(model)  # raises if it cannot be converted
    if options["zipmap"] == "columns":
        prefix = "i" if labels.dtype.kind == "i" else "s"
        names = ["output_label", *(f"{prefix}{label}" for label in labels)]
        return [declare(name, real() if k else kind()) for k, name in enumerate(names)]
    if options["zipmap"] and has_probability:
        by_label = SequenceType(DictionaryType(kind([None]), Float()))
        return [declare("output_label", kind()), declare("output_probability", by_label)]
    name = "probabilities" if has_probability and not options["raw_scores"] else "scores"
    return [declare("label", kind()), declare(name, real())]


def _set_shapes(operator):
    """The shape calculator: types and shapes of the outputs."""
    from skl2onnx.common.data_types import SequenceType

    model, outputs, real = operator.raw_operator, operator.outputs, _real_type(operator.inputs)
    n = operator.inputs[0].get_first_dimension()
    if not is_classifier(model):
        outputs[0].set_type(real([n, len(_coef(model))]))
        return
    labels = _labels(model.classes_)
    outputs[0].set_type(_label_type(labels)([n]))
    if len(outputs) > 2:
        for column in outputs[1:]:
            column.set_type(real([n]))
    elif not isinstance(outputs[1].type, SequenceType):
        outputs[1].set_type(real([n, len(labels)]))


def _convert(scope, operator, container):
    """The converter: writes the nodes of the graph."""
    model, graph = operator.raw_operator, _Graph(scope, operator, container)
    z = _scores(graph, model)
    if hasattr(model, "thresholds_"):
        z = _of_ordered_classes(graph, model, z)
    if is_classifier(model):
        raw_scores = container.get_options(model, {"raw_scores": False}).get("raw_scores")
        _classify(graph, model, z, raw_scores or not _has_probability(model))
        return
    if getattr(model, "non_crossing", False) and len(_coef(model)) > 1:
        z = _in_order(graph, z, model._quantiles)
    if hasattr(model, "components_") and model._has_unit_rows():
        z = _unit_rows(graph, z)
    graph.give(z, 0)


# --- what models hold ---------------------------------------------------------------------------


def _coef(model):
    """Coefficients of shape (n_outputs, n_features)."""
    if hasattr(model, "components_"):
        return model.components_
    return np.atleast_2d(model._dense_coef())


def _labels(classes):
    """Labels as ONNX can hold them: int64 or strings."""
    if classes.dtype.kind in "biuf":
        with np.errstate(invalid="ignore"):
            integers = classes.astype(np.int64)
        if np.array_equal(integers, classes):  # one beyond int64 would come back as it was
            return integers
    elif all(isinstance(label, str) for label in classes.tolist()):
        return classes.astype(str)
    raise ValueError(
        f"labels must be strings or integers for ONNX, got classes_={classes!r}: fit with "
        "sklearn.preprocessing.LabelEncoder().fit_transform(y), say"
    )


def _label_type(labels):
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    return Int64TensorType if labels.dtype.kind == "i" else StringTensorType


def _real_type(inputs):
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    double = any(isinstance(one.type, DoubleTensorType) for one in inputs)
    return DoubleTensorType if double else FloatTensorType


def _has_probability(model):
    return hasattr(model, "predict_proba")


def _link(model):
    """What makes probabilities of scores: "Sigmoid", "Softmax", "Isotonic" or "Exp".

    Raises
    ------
    NotImplementedError
        If a loss or a calibrator has its own way.
    """
    if hasattr(model, "calibrators_"):
        links = {Sigmoid: "Sigmoid", IsotonicRegression: "Isotonic"}
        for calibrator in model.calibrators_:
            if type(calibrator) not in links:
                raise NotImplementedError(_refusal(model, f"calibrator {calibrator!r} is unknown"))
        return links[type(model.calibrators_[0])]
    loss = model._fitted_loss()
    if hasattr(model, "thresholds_"):
        return "Exp" if len(model.thresholds_) > 1 else "Sigmoid"
    link = _LINKS.get(type(loss).probability)
    if link is None:
        raise NotImplementedError(_refusal(model, f"loss {loss!r} has its own probability"))
    return link


def _refusal(model, what):
    name = type(model).__name__
    return (
        f"the probabilities of this {name} cannot be converted to ONNX: the {what}. Scores and "
        "labels can, with options={id(model): {'raw_scores': True, 'zipmap': False}}"
    )


# --- graphs -------------------------------------------------------------------------------------


class _Graph:
    """Nodes of an operator, one after the other, each with one output and a name of its own."""

    def __init__(self, scope, operator, container):
        from skl2onnx.common.data_types import DoubleTensorType

        self.scope, self.operator, self.container = scope, operator, container
        double = _real_type(operator.inputs) is DoubleTensorType
        self.dtype = np.dtype(np.float64 if double else np.float32)

    def add(self, kind, *inputs, output=None, domain="", **attributes):
        """A node; the name of its output."""
        output = self.scope.get_unique_variable_name(kind) if output is None else output
        name = self.scope.get_unique_operator_name(kind)
        self.container.add_node(
            kind, list(inputs), [output], op_domain=domain, name=name, **attributes
        )
        return output

    def constant(self, values):
        """A constant; floats become the graph's dtype."""
        from onnx import TensorProto, numpy_helper

        values = np.asarray(values)
        name = self.scope.get_unique_variable_name("constant")
        if values.dtype.kind in "UO":
            encoded = [text.encode() for text in values.ravel().tolist()]
            self.container.add_initializer(name, TensorProto.STRING, values.shape, encoded)
            return name
        values = values.astype(self.dtype if values.dtype.kind == "f" else np.int64, order="C")
        tensor = numpy_helper.from_array(values)
        self.container.add_initializer(name, tensor.data_type, values.shape, tensor)
        return name

    def cast(self, name, dtype):
        from onnx.helper import np_dtype_to_tensor_dtype

        return self.add("Cast", name, to=np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def largest(self, z, k):
        """The k largest entries of each row, in decreasing order."""
        values, _ = outputs = [self.scope.get_unique_variable_name("largest") for _ in range(2)]
        name = self.scope.get_unique_operator_name("TopK")
        # Before opset 10, k is no input; before 11, there is no other order.
        old = self.container.target_opset < 10
        inputs, options = ([z], {"k": k}) if old else ([z, self.constant([k])], {})
        self.container.add_node("TopK", inputs, outputs, name=name, axis=1, **options)
        return values

    def give(self, name, k):
        """Make a result the output k."""
        self.add("Identity", name, output=self.operator.outputs[k].full_name)


def _scores(graph, model):
    """X W + b, of shape (n, n_outputs)."""
    inputs = _in_order_of_features(graph.operator.inputs, model)
    columns = [graph.cast(one.full_name, graph.dtype) for one in inputs]
    X = columns[0] if len(columns) == 1 else graph.add("Concat", *columns, axis=1)
    z = graph.add("MatMul", X, graph.constant(_coef(model).T.astype(np.float64)))
    if not hasattr(model, "intercept_"):
        return z
    return graph.add("Add", z, graph.constant(np.atleast_1d(model.intercept_).astype(np.float64)))


def _in_order_of_features(inputs, model):
    """Inputs in the order of the features that the model was fitted with, if they are columns with
    their names; raises ``ValueError`` if they are too many or too few."""
    shapes = [one.type.shape for one in inputs]
    widths = [shape[1] if len(shape) > 1 else None for shape in shapes]
    if None not in widths and sum(widths) != _coef(model).shape[1]:
        raise ValueError(
            f"the inputs have {sum(widths)} columns, but {type(model).__name__} was fitted with "
            f"{_coef(model).shape[1]} features"
        )
    place = {name: k for k, name in enumerate(getattr(model, "feature_names_in_", []))}
    if place.keys() != {one.raw_name for one in inputs}:
        return inputs
    return sorted(inputs, key=lambda one: place[one.raw_name])


def _classify(graph, model, z, raw_scores):
    """Labels, and scores or probabilities of all classes; of two, scores are −z and z."""
    labels = _labels(model.classes_)
    by_class = z if len(labels) > 2 else graph.add("Concat", graph.add("Neg", z), z, axis=1)
    best = graph.add("ArgMax", by_class, axis=1, keepdims=0)
    graph.give(graph.add("Gather", graph.constant(labels), best, axis=0), 0)
    p = by_class if raw_scores else _probabilities(graph, model, z)
    outputs = graph.operator.outputs
    if len(outputs) > 2:
        for k in range(len(labels)):
            graph.give(graph.add("Gather", p, graph.constant(k), axis=1), k + 1)
    elif hasattr(outputs[1].type, "element_type"):
        key = "classlabels_int64s" if labels.dtype.kind == "i" else "classlabels_strings"
        p = graph.cast(p, np.float32)  # there are no other maps
        name = outputs[1].full_name
        graph.add("ZipMap", p, output=name, domain="ai.onnx.ml", **{key: labels.tolist()})
    else:
        graph.give(p, 1)


def _probabilities(graph, model, z):
    """As ``predict_proba``."""
    link, n_classes = _link(model), len(model.classes_)
    if link == "Softmax":
        return graph.add("Softmax", z, axis=1)
    if link == "Exp":
        return graph.add("Exp", z)
    if link == "Sigmoid":
        return _sigmoids(graph, _calibrated(graph, model, z, _scaled), n_classes)
    p = _calibrated(graph, model, z, _isotonic)
    if n_classes == 2:
        return graph.add("Concat", graph.add("Sub", graph.constant(1.0), p), p, axis=1)
    total = graph.add("MatMul", p, graph.constant(np.ones((n_classes, 1))))
    some = graph.add("Greater", total, graph.constant(0.0))
    share = graph.add("Div", p, total)
    return graph.add("Where", some, share, graph.constant(1.0 / n_classes))


def _sigmoids(graph, z, n_classes):
    """Sigmoids of scores, of more than two classes their shares.

    By logarithms, log σ(z) = min(z, 0) − log(1 + exp(−|z|)): runtimes round small results of the
    operator Sigmoid to nothing, and shares of nothing are anything.
    """
    if n_classes == 2:
        z = graph.add("Concat", graph.add("Neg", z), z, axis=1)
    logarithm = _log_sigmoid(graph, z)
    return (
        graph.add("Exp", logarithm) if n_classes == 2 else graph.add("Softmax", logarithm, axis=1)
    )


def _log_sigmoid(graph, z):
    e = graph.add("Exp", graph.add("Neg", graph.add("Abs", z)))
    tail = graph.add("Log", graph.add("Add", e, graph.constant(1.0)))
    return graph.add("Sub", graph.add("Min", z, graph.constant(0.0)), tail)


def _of_ordered_classes(graph, model, z):
    """As ``OrdinalClassifier.decision_function``, for the scores z of rows."""
    thresholds = model.thresholds_.astype(np.float64)
    f, m = graph.add("Sub", z, graph.constant(thresholds)), len(thresholds)
    if m == 1:
        return f
    if not _has_probability(model):
        return graph.add("MatMul", f, graph.constant(np.triu(np.ones((m, m + 1)), 1)))
    between = np.zeros(m + 1)
    between[1:-1] = np.log(-np.expm1(-np.diff(thresholds)))
    above, below = _log_sigmoid(graph, f), _log_sigmoid(graph, graph.add("Neg", f))
    above = graph.add("MatMul", above, graph.constant(np.eye(m, m + 1, 1)))
    below = graph.add("MatMul", below, graph.constant(np.eye(m, m + 1)))
    return graph.add("Add", graph.add("Add", above, below), graph.constant(between))


def _calibrated(graph, model, z, convert):
    """Each column of scores by its calibrator; scores themselves if there is none."""
    if not hasattr(model, "calibrators_"):
        return z
    columns = [
        convert(graph, graph.add("Gather", z, graph.constant([k]), axis=1), calibrator)
        for k, calibrator in enumerate(model.calibrators_)
    ]
    return graph.add("Concat", *columns, axis=1)


def _scaled(graph, z, calibrator):
    """Scores whose sigmoids are probabilities."""
    scaled = graph.add("Mul", z, graph.constant(calibrator.slope))
    return graph.add("Add", scaled, graph.constant(calibrator.intercept))


def _isotonic(graph, z, calibrator):
    """Probabilities of one column of scores."""
    x = calibrator.X_thresholds_.astype(graph.dtype)
    y = calibrator.y_thresholds_.astype(np.float64)
    if len(y) == 1:
        x, y = np.append(x, x + 1), np.append(y, y)
    # A sum over segments: the share of each that lies below z, times the rise over it. Thresholds
    # that are one in float32 make a step.
    width = np.maximum(np.diff(x), np.spacing(np.abs(x[:-1])))
    share = graph.add("Div", graph.add("Sub", z, graph.constant(x[:-1])), graph.constant(width))
    share = graph.add("Max", graph.constant(0.0), graph.add("Min", graph.constant(1.0), share))
    risen = graph.add("MatMul", share, graph.constant(np.diff(y)[:, None]))
    return graph.add("Add", risen, graph.constant(y[:1]))


def _in_order(graph, z, quantiles):
    """Predictions of each row sorted, in the order of the quantiles."""
    falling = graph.largest(z, len(quantiles))
    places = len(quantiles) - 1 - np.argsort(np.argsort(quantiles))
    return graph.add("Gather", falling, graph.constant(places), axis=1)


def _unit_rows(graph, z):
    """Rows divided by their lengths; zero rows stay."""
    # By the largest entry first: squares then neither overflow nor vanish.
    largest = graph.largest(graph.add("Abs", z), 1)
    some, one = graph.add("Greater", largest, graph.constant(0.0)), graph.constant(1.0)
    u = graph.add("Div", z, graph.add("Where", some, largest, one))
    n_components = len(graph.operator.raw_operator.components_)
    ones = graph.constant(np.ones((n_components, 1)))
    squares = graph.add("MatMul", graph.add("Mul", u, u), ones)
    return graph.add("Div", u, graph.add("Sqrt", graph.add("Where", some, squares, one)))
