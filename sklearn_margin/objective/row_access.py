"""Row by row: what solvers that work on single rows may ask of an objective.

Most solvers see points and lines, on which nothing is as long as the data (``point``). Some hold a
number per row: a slope, a distance to a kink, a multiplier. This is all that they ask for besides
what is in ``Objective``. An objective whose rows are elsewhere says so in ``why_no_rows``, and
these solvers refuse it for that reason.
"""

from typing import NamedTuple

import numpy as np

__all__ = ["Samples"]


class Samples(NamedTuple):
    """Samples of a stochastic pass, in the order they are to be visited."""

    first: np.ndarray  # (m,) of int: a sample is this row,
    second: np.ndarray  # (m,) of int: less this one, where that is not negative
    labels: np.ndarray  # (m,) of float64
    weights: np.ndarray  # (m,) of float64; their mean is one over all samples
