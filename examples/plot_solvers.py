"""
The solvers side by side
========================

A loss with a kink, the hinge, and a smooth one, the logistic loss, minimised by every solver that
can. ``solver="auto"`` chooses among them; this is what it has to choose from.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_margin import LinearClassifier
from sklearn_margin.losses import Hinge, Logistic
from sklearn_margin.plotting import ConvergenceDisplay
from sklearn_margin.solvers import (
    LBFGS,
    SGD,
    CoordinateDescent,
    DualCD,
    InteriorPoint,
    Newton,
    Smoothing,
    Subgradient,
)

# %%
# 20,000 rows of 20 columns, with labels that no plane separates. A solver is a name, or an object
# with parameters of its own, such as ``SGD(batch_size=32)``. Each may take 100 iterations; some do
# not get there then, and would say so in a warning.

rng = np.random.default_rng(0)
X = rng.normal(size=(20_000, 20))
y = X @ rng.normal(size=20) + 2 * rng.normal(size=len(X)) > 0
warnings.simplefilter("ignore", ConvergenceWarning)
settings = {"tol": 1e-6, "max_iter": 100, "random_state": 0}
losses = {"hinge": Hinge(), "logistic": Logistic()}
solvers = {
    "hinge": [InteriorPoint(), DualCD(), Smoothing(), Subgradient(), SGD()],
    "logistic": [Newton(), CoordinateDescent(), LBFGS(), Subgradient(), SGD()],
}

# %%
# The error is the distance of the objective to its minimum, which a fit to ten digits tells.

figure, axes = plt.subplots(2, sharex=True, figsize=(5.6, 7.6), layout="constrained")
print(f"{'reads of X until the error is':30}{'1e-2':>8}{'1e-4':>8}{'1e-6':>8}")
for ax, (loss, names) in zip(axes, solvers.items(), strict=True):
    exact = LinearClassifier(loss, tol=1e-10).fit(X, y)
    signs = np.where(y, 1, -1)
    value = {"hinge": Hinge(), "logistic": Logistic()}[loss].value(
        signs, exact.decision_function(X)
    )
    best = value + exact.alpha / 2 * (exact.coef_**2).sum()
    for solver in names:
        model = LinearClassifier(loss, solver=solver, **settings)
        display = ConvergenceDisplay.from_estimator(
            model, X, y, best=best, ax=ax, line_kw={"marker": ""}
        )
        for line in display.gap_lines_:  # certificates have a picture of their own
            line.remove()
        (trace,) = display.traces
        error = trace.objective / best - 1
        reads = [trace.reads[error <= limit] for limit in (1e-2, 1e-4, 1e-6)]
        cells = (f"{r[0]:8.0f}" if len(r) else f"{'–':>8}" for r in reads)
        print(f"{loss + ', ' + solver.name:30}", *cells, sep="")
    ax.set(title=f"{loss} loss", ylim=(1e-11, 2), xscale="log")
    ax.legend(frameon=False)
axes[0].set(xlabel="")

# %%
# **To conclude**: where the loss is smooth, second derivatives make ten reads enough, and where it
# has kinks the solvers that know it as a sum of hinges end exactly, too. ``subgradient`` needs
# nothing but a derivative, and is good for two to four digits. A read is not the same
# work for all: ``interior_point`` and ``newton`` also multiply matrices of 20 × 20. Next:
# :doc:`/user_guide/solvers`.
