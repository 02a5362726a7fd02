"""Vowpal Wabbit: one pass after the other over a file, in single precision."""

import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from benchmarks.data import Problem
from benchmarks.harness import Contestant
from sklearn_margin.losses import Hinge

BITS = 18  # of the table of weights
CONSTANT = 11650396 % 2**BITS  # where the intercept is


def vowpal_wabbit(p: Problem, options: str = "") -> Contestant:
    """Its loss is one row's, with ``--l2`` alpha, as ours; its cache is made in no one's time.

    Weights are stored without the factor by which the penalty has shrunk all of them, which stands
    in the text of a model as ``l2_state``.
    """
    loss = "hinge" if isinstance(p.loss, Hinge) else "logistic"
    l2 = "" if "--coin" in options else f"--l2 {p.alpha!r} "  # it does not know the penalty

    def fit(epochs):
        from vowpalwabbit import Workspace

        folder = _cache(_Data(p.X, p.y)).name
        model = f"{folder}/model"
        run = Workspace(
            f"--cache_file {folder}/cache --passes {epochs} --holdout_off -b {BITS} --quiet "
            f"--loss_function {loss} {l2}{options} --readable_model {model}"
        )
        w = np.array([run.get_weight(j) for j in range(p.X.shape[1])])
        b = run.get_weight(CONSTANT)
        run.finish()
        with open(model) as lines:
            factor = next(float(x.split()[1]) for x in lines if x.startswith("l2_state"))
        return w * factor, b * factor

    name = f"Vowpal Wabbit {options}".strip()
    note = "no penalty" if not l2 else ""
    return Contestant(
        name, fit, (1, 3, 10, 30, 100), "vowpalwabbit", note,
        prepare=lambda: _cache(_Data(p.X, p.y)),
    )  # fmt: skip


class _Data:
    """Rows and labels, the same as others if they are the same objects."""

    def __init__(self, X, y):
        self.X, self.y = X, y

    def __eq__(self, other):
        return self.X is other.X and self.y is other.y

    def __hash__(self):
        return hash((id(self.X), id(self.y)))


@lru_cache(maxsize=2)
def _cache(data):
    """A folder, which lives as long as this is kept, with the rows as it reads them fastest."""
    from vowpalwabbit import Workspace

    folder = tempfile.TemporaryDirectory()
    text = Path(folder.name) / "text"
    X = sp.csr_matrix(data.X)
    with text.open("w") as file:
        for i, label in enumerate(data.y):
            row = slice(X.indptr[i], X.indptr[i + 1])
            entries = zip(X.indices[row].tolist(), X.data[row].tolist(), strict=True)
            file.write(f"{label:g} | " + " ".join(f"{j}:{x:.8g}" for j, x in entries) + "\n")
    cache = f"--cache_file {folder.name}/cache"
    Workspace(f"--data {text} {cache} -b {BITS} --noop --quiet").finish()
    text.unlink()
    return folder
