"""
Rare events: do focal and Dice losses help?
===========================================

One flight in a hundred that left New York in 2013 arrived more than three hours late. Focal and
Dice losses were made for such classes, in images. Do they find them better than the logistic loss
does, or than class weights, in a linear model of a table?

The features and the split are those of ``rank_flights.py``: trained on January to September, judged
on October to December. All models see the same columns and have the same penalty.

* *Average precision* and *ROC AUC* judge the order of the scores, whatever the threshold.
* *F1* judges the labels of ``predict``, that is: the threshold 0 that a loss leads to.
* *F1, best* is F1 at the threshold that is best on the training data.
* *Log loss* judges the probabilities, where the loss has any.

**What came out.** Focal loss orders these flights no better than the logistic loss: it changes
the average precision of 0.0262 by 0.0002 at most, and its probabilities are worse. Class weights
help the ROC AUC (0.697 to 0.708). Dice is the one loss whose own threshold is of use here (F1
0.064, where balanced weights give 0.037 and the logistic loss finds no flight at all), but it
orders worst, and a threshold chosen on the training data makes the logistic loss better (0.077 to
0.085). So: fit the logistic loss, perhaps with class weights, and choose the threshold.

Run it with ``pip install ".[examples]"`` and ``python examples/late_flights.py``; it takes about
two minutes.
"""

import time

import numpy as np
from rank_flights import FIRST_TEST_MONTH, load_flights, make_features
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    log_loss,
    precision_recall_curve,
    roc_auc_score,
)

from sklearn_margin import LinearClassifier
from sklearn_margin.losses import Dice, Focal

VERY_LATE = 4  # the grade of flights more than three hours late
ALPHA = 1e-6

MODELS = {
    "logistic": LinearClassifier("logistic", alpha=ALPHA),
    "logistic, balanced": LinearClassifier("logistic", alpha=ALPHA, class_weight="balanced"),
    "focal, γ = 1": LinearClassifier(Focal(gamma=1.0), alpha=ALPHA),
    "focal, γ = 2": LinearClassifier(Focal(gamma=2.0), alpha=ALPHA),
    "focal, γ = 2, α = 0.75": LinearClassifier(Focal(gamma=2.0, alpha=0.75), alpha=ALPHA),
    "focal, γ = 2, balanced": LinearClassifier(Focal(), alpha=ALPHA, class_weight="balanced"),
    "Dice": LinearClassifier(Dice(), alpha=ALPHA),
    "squared hinge, balanced": LinearClassifier(
        "squared_hinge", alpha=ALPHA, class_weight="balanced"
    ),
}


def best_threshold(y, score):
    """The threshold of the highest F1."""
    precision, recall, thresholds = precision_recall_curve(y, score)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    return thresholds[np.argmax(f1[:-1])]


def judge(model, X, y, threshold):
    """The columns of the table."""
    score = model.decision_function(X)
    has_probability = hasattr(model, "predict_proba")
    return [
        average_precision_score(y, score),
        roc_auc_score(y, score),
        f1_score(y, model.predict(X)),
        f1_score(y, score >= threshold),
        log_loss(y, model.predict_proba(X)) if has_probability else np.nan,
    ]


if __name__ == "__main__":
    features, grade, _, month = load_flights()
    late, train = grade == VERY_LATE, month < FIRST_TEST_MONTH
    transform = make_features().fit(features[train])
    X_train, X_test = transform.transform(features[train]), transform.transform(features[~train])
    print(f"{late[train].mean():.2%} very late in training, {late[~train].mean():.2%} in the test")
    columns = ["av. precision", "ROC AUC", "F1", "F1, best", "log loss", "seconds"]
    print(f"{'':<26}", *(f"{name:>13}" for name in columns))
    for name, model in MODELS.items():
        start = time.perf_counter()
        model.fit(X_train, late[train])
        seconds = time.perf_counter() - start
        threshold = best_threshold(late[train], model.decision_function(X_train))
        cells = [*judge(model, X_test, late[~train], threshold), seconds]
        print(f"{name:<26}", *(f"{cell:>13.4f}" for cell in cells), flush=True)
