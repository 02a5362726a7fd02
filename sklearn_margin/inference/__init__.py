"""Standard errors, confidence intervals and p-values of coefficients."""

from sklearn_margin.inference._coefficients import coef_inference
from sklearn_margin.inference._table import CoefInference

__all__ = ["CoefInference", "coef_inference"]
