"""How often intervals of ``sklearn_margin.inference`` hold the coefficient, by simulation.

``python -m benchmarks.coverage quantile --first 0 --last 1000`` prints, for each method, the share
of data sets in which intervals of nominal 90 and 95 % hold the true coefficient, over all
coefficients. A share of 1,000 data sets is off by some 0.7 percentage points, one standard error.
"""

import argparse
import warnings

import numpy as np

from sklearn_margin import LinearClassifier, LinearRegressor, QuantileRegressor
from sklearn_margin.inference import coef_inference

COEF = np.array([0.5, 1.0, -0.5, 0.0])  # with the intercept


def _features(rng, n):
    return rng.normal(size=(n, 3))


def logistic(rng, n):
    X = _features(rng, n)
    chance = 1 / (1 + np.exp(-COEF[0] - X @ COEF[1:]))
    return LinearClassifier("logistic", alpha=0, tol=1e-8), X, rng.uniform(size=n) < chance


def squared(rng, n):
    X = _features(rng, n)
    noise = rng.normal(size=n) * (0.5 + np.abs(X[:, 0]))  # unequal variances
    return LinearRegressor("squared", alpha=0, tol=1e-8), X, COEF[0] + X @ COEF[1:] + noise


def quantile(rng, n):
    X = _features(rng, n)
    noise = rng.standard_t(3, size=n) * (0.5 + 0.5 * np.abs(X[:, 0]))
    return QuantileRegressor(alpha=0, tol=1e-8), X, COEF[0] + X @ COEF[1:] + noise


METHODS = {
    logistic: ("classical", "HC1", "bootstrap"),
    squared: ("classical", "HC1", "HC3", "bootstrap"),
    quantile: ("iid", "kernel", "hks", "bootstrap"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=[task.__name__ for task in METHODS])
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--last", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--replicates", type=int, default=200)
    given = parser.parse_args()
    (task,) = (task for task in METHODS if task.__name__ == given.task)
    held = {(method, level): [] for method in METHODS[task] for level in (0.9, 0.95)}
    warnings.simplefilter("ignore")
    for seed in range(given.first, given.last):
        model, X, y = task(np.random.default_rng(seed), given.rows)
        model.fit(X, y)
        for method in METHODS[task]:
            summary = coef_inference(
                model, X, y, method=method, n_bootstrap=given.replicates, random_state=seed
            )
            for level in (0.9, 0.95):
                low, high = summary.confidence_interval(level)
                held[method, level].append((low <= COEF) & (high >= COEF))
    print(f"{given.task}, {given.rows} rows, data sets {given.first} to {given.last}")
    for (method, level), found in held.items():
        by_coef = " ".join(f"{100 * share:.1f}" for share in np.mean(found, axis=0))
        print(f"{method:>10} {100 * level:.0f} %: {100 * np.mean(found):.2f} ({by_coef})")


if __name__ == "__main__":
    main()
