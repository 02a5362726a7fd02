"""What inference of coefficients gives: numbers, intervals, a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sklearn_margin._validation import check_choice, check_number

__all__ = ["CoefInference"]


class CoefInference:
    """Coefficients with their standard errors, intervals and p-values.

    ``coef_inference`` makes one; print it for a table. Of several classes or quantiles arrays have
    a row for each.

    Parameters
    ----------
    coef : ndarray of shape (n_params,) or (n_targets, n_params)
        Intercept, if there is one, and coefficients.
    covariance : ndarray of shape (coef.size, coef.size)
        Their covariance matrix, row after row of ``coef``.
    feature_names : list of str
        Names of the parameters, the first of them "intercept" if there is one.
    targets : list, default=None
        Classes or quantiles that the rows are of; None if there is one row.
    method : str, default=""
        What the standard errors were computed by.
    degrees_of_freedom : float, default=inf
        Of the t distribution that intervals and p-values are by; infinity is the normal one.
    replicates : ndarray of shape (n_bootstrap, \\*coef.shape), default=None
        Coefficients of the replicates of a bootstrap.
    note : str, default=""
        What else a reader should know.

    Attributes
    ----------
    standard_errors : ndarray with the shape of ``coef``
        Square roots of the diagonal of the covariance matrix.
    statistic : ndarray with the shape of ``coef``
        Coefficients over standard errors.
    p_values : ndarray with the shape of ``coef``
        Two-sided, of the hypothesis that the coefficient is 0.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_margin import LinearRegressor
    >>> from sklearn_margin.inference import CoefInference, coef_inference
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> X, y = 10 * X[["age", "bmi"]], y / 10
    >>> model = LinearRegressor("squared", alpha=0).fit(X, y)
    >>> summary = coef_inference(model, X, y)
    >>> isinstance(summary, CoefInference)
    True
    >>> print(summary)
                coef std. error       t p-value     2.5 %    97.5 %
    intercept      15.21     0.2962   51.36  0.0000     14.63      15.8
    age             1.33     0.6314    2.11  0.0357   0.08925     2.571
    bmi            9.248     0.5916   15.63  0.0000     8.085     10.41
    HC1 standard errors, t distribution with 439 degrees of freedom
    """

    def __init__(
        self,
        coef: NDArray[Any],
        covariance: NDArray[Any],
        feature_names: list[str],
        *,
        targets: list[Any] | None = None,
        method: str = "",
        degrees_of_freedom: float = np.inf,
        replicates: NDArray[Any] | None = None,
        note: str = "",
    ) -> None:
        self.coef = coef
        self.covariance = covariance
        self.feature_names = feature_names
        self.targets = targets
        self.method = method
        self.degrees_of_freedom = degrees_of_freedom
        self.replicates = replicates
        self.note = note
        self.standard_errors = np.sqrt(covariance.diagonal()).reshape(coef.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.statistic = coef / self.standard_errors
        self.p_values = 2 * self._distribution.sf(np.abs(self.statistic))

    @property
    def _distribution(self) -> Any:
        df = self.degrees_of_freedom
        return stats.norm() if np.isinf(df) else stats.t(df)

    def confidence_interval(
        self, level: float = 0.95, kind: str = "symmetric"
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Confidence intervals.

        Parameters
        ----------
        level : float, default=0.95
            Share of samples whose interval holds the coefficient, between 0 and 1.
        kind : str, default="symmetric"
            "symmetric" is the coefficient and so many standard errors to both sides; "percentile",
            of a bootstrap, the quantiles of its replicates.

        Returns
        -------
        low, high : ndarray with the shape of ``coef``

        Raises
        ------
        ValueError
            If the level is not between 0 and 1, or percentiles are asked for without replicates.
        """
        check_number(level, "level", minimum=0, maximum=1, closed=False)
        check_choice(kind, "kind", ("percentile", "symmetric"))
        if kind == "symmetric":
            half = self._distribution.ppf(0.5 + level / 2) * self.standard_errors
            return self.coef - half, self.coef + half
        if self.replicates is None:
            raise ValueError("kind='percentile' needs replicates: method='bootstrap' has them")
        low, high = np.quantile(self.replicates, [0.5 - level / 2, 0.5 + level / 2], axis=0)
        return low, high

    def half_widths(self, level: float = 0.95) -> NDArray[Any]:
        """Half the lengths of symmetric intervals of coefficients, for error bars.

        Parameters
        ----------
        level : float, default=0.95
            Of the intervals.

        Returns
        -------
        ndarray with the shape of ``coef_``, without an intercept
        """
        low, high = self.confidence_interval(level)
        return ((high - low) / 2)[..., int(self.feature_names[0] == "intercept") :]

    def to_frame(self, level: float = 0.95) -> Any:
        """A data frame with a row for each parameter; it needs pandas.

        Parameters
        ----------
        level : float, default=0.95
            Of the confidence intervals.

        Returns
        -------
        pandas.DataFrame
            Its index holds the names, after the class or the quantile if there are several.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        import pandas as pd

        index: Any = pd.Index(self.feature_names, name="feature")
        if self.targets is not None:
            index = pd.MultiIndex.from_product(
                [self.targets, self.feature_names], names=["target", "feature"]
            )
        columns = {name: values.ravel() for name, values in self._columns(level).items()}
        return pd.DataFrame(columns, index=index)

    def _columns(self, level):
        low, high = self.confidence_interval(level)
        return {
            "coef": self.coef,
            "standard_error": self.standard_errors,
            "statistic": self.statistic,
            "p_value": self.p_values,
            "low": low,
            "high": high,
        }

    def __str__(self) -> str:
        columns = [np.ravel(values) for values in self._columns(0.95).values()]
        names = self.feature_names
        if self.targets is not None:
            names = [f"{target}: {name}" for target in self.targets for name in names]
        wide = max(map(len, names))
        letter = "z" if np.isinf(self.degrees_of_freedom) else "t"
        head = ("coef", "std. error", letter, "p-value", "2.5 %", "97.5 %")
        widths, formats = (11, 11, 8, 8, 10, 10), (".4g", ".4g", ".2f", ".4f", ".4g", ".4g")
        parts = [(f"{h:>{w}}" for h, w in zip(head, widths, strict=True))]
        parts += [
            (f"{value:>{w}{f}}" for value, w, f in zip(row, widths, formats, strict=True))
            for row in zip(*columns, strict=True)
        ]
        lines = [f"{n:<{wide}}{''.join(p)}" for n, p in zip(["", *names], parts, strict=True)]
        return "\n".join([*lines, self._said_below()])

    def _said_below(self):
        df = self.degrees_of_freedom
        by = (
            "normal distribution"
            if np.isinf(df)
            else f"t distribution with {df:g} degrees of freedom"
        )
        said = f"{self.method} standard errors, {by}"
        return f"{said}; {self.note}" if self.note else said

    __repr__ = __str__
