"""Cases of ``benchmarks.scale``: data, and who fits them."""

from dataclasses import dataclass, field

from benchmarks.harness import OURS, THREADS

TINY = 4_000  # rows of the folder that everyone is warmed up on
LIMIT = 2 << 30  # bytes
ONE_ITERATION = "one iteration"  # a rung of ours
WITH_REFERENCE = (1e-4, 1e-7)  # tolerances of ours; the second is what solutions are compared with


@dataclass
class Entry:
    """A contestant of a case."""

    name: str
    way: str  # of benchmarks.scale_fits
    loss: str
    rungs: tuple = (1e-4,)
    package: str = OURS
    comparable: bool = True  # False: minimises something else, or nothing
    limit: int | None = None  # of memory, bytes
    params: dict = field(default_factory=dict)  # of our estimator


@dataclass
class Case:
    """A folder of data, and who fits it.

    What others of a loss are divided by is the first of its entries.
    """

    title: str
    n: int
    parts: int
    entries: list[Entry]
    columns: list[str]  # of the table
    notes: str
    dtype: str = "float64"
    intercept: bool = True


FIT = ["loss", "contestant", "fit, s", "excess"]
PLACES = ["load, s", "client, MB", "others, MB"]


def against_dask_ml() -> Case:
    entries = [
        Entry("sklearn_margin on Dask", "dask", "logistic"),
        Entry("the same, rows left there", "left-on-dask", "logistic"),
        Entry("sklearn_margin in memory", "memory", "logistic", WITH_REFERENCE),
        Entry("dask-ml lbfgs", "dask-ml", "logistic", (1e-2, 1e-3, 1e-4), "dask-ml"),
        Entry("XGBoost Dask gblinear", "xgboost", "logistic", (50,), "xgboost", False),
    ]
    notes = """\
Data as small as these are fetched and solved at the client; "rows left there" may not do that.
Without an intercept, which dask-glm would penalise. dask-glm minimises the sum of losses plus
λ/2·‖w‖², so λ = alpha·n. Its tol bounds the gradient of that sum: a rung, 1e-2 to 1e-4, is
multiplied by n, and its default, 1e-4 of the sum, is tighter than all of them. It would
standardise columns and penalise the coefficients of those, which is switched off."""
    columns = [*FIT, "÷ first", *PLACES, "traffic, MB"]
    title = "400,000 × 20 on Dask, 16 chunks"
    return Case(title, 400_000, 16, entries, columns, notes, intercept=False)


def against_spark() -> Case:
    entries = []
    for loss, peer in (("hinge", "LinearSVC"), ("logistic", "LogisticRegression")):
        entries += [
            Entry("sklearn_margin on Dask", "dask", loss),
            Entry("sklearn_margin from Parquet", "stream", loss),
            Entry("sklearn_margin in memory", "memory", loss, WITH_REFERENCE),
            Entry(f"Spark {peer}, local[{THREADS}]", "spark", loss, (10, 30, 100, 300), "pyspark"),
        ]
    notes = """\
Spark's regParam is alpha and standardization is off, so that it minimises the same. A rung is its
limit of iterations: 10, 30, 100 or 300. Its DataFrame is cached, and ours on Dask persisted."""
    columns = [*FIT, "÷ first", *PLACES]
    return Case("2·10⁶ × 20 against Spark", 2_000_000, 16, entries, columns, notes)


def on_dask() -> Case:
    entries = []
    for loss in ("logistic", "hinge", "quantile 0.9", "RankSVM"):
        entries += [
            Entry("in memory", "memory", loss, WITH_REFERENCE),
            Entry("on Dask", "dask", loss),
        ]
    columns = [*FIT, "÷ first", "reads", "tasks", *PLACES, "traffic, MB"]
    notes = "Reads are those that a fit prints; tasks are counted by Dask's scheduler."
    return Case("10⁷ × 20 on Dask, 16 chunks", 10_000_000, 16, entries, columns, notes)


def overhead() -> Case:
    solvers = {
        "logistic": "newton",
        "hinge": "smoothing",
        "quantile 0.9": "smoothing",
        "RankSVM": "newton",
    }
    entries = [
        Entry(name, way, loss, (ONE_ITERATION, 1e-8), params={"solver": solver})
        for loss, solver in solvers.items()
        for name, way in (("on Dask", "left-on-dask"), ("in memory", "memory"))
    ]
    columns = [
        "loss", "contestant", "fit, s", "excess", "reads", "tasks", "ms per evaluation",
        "traffic, MB",
    ]  # fmt: skip
    notes = f"""\
So few rows, 16 chunks of 250, that an evaluation costs what Dask costs. Tasks are counted by its
scheduler; an evaluation is {THREADS} of them, one for each worker, whether it reads X or not.
What one costs is the difference to a fit of one iteration, which has the same preparations."""
    return Case("overhead of Dask by evaluation", TINY, 16, entries, columns, notes)


def from_parquet() -> Case:
    entries = []
    for loss in ("hinge", "quantile 0.9", "RankSVM hinge", "logistic"):
        entries += [
            Entry("reading the files alone", "read", loss, comparable=False, limit=LIMIT),
            Entry("fit from Parquet", "stream", loss, limit=LIMIT),
        ]
    columns = [
        "loss", "contestant", "fit, s", "gap", "reads", "s per read", "÷ reading alone",
        "client, MB",
    ]  # fmt: skip
    notes = """\
X is 4 GB, and 5.1 GB in files. Both have 2 GiB of memory, the page cache of the files included (a
control group of their own; RLIMIT_DATA where none can be made). The page cache of the machine may
hold files that were read before. The gap is the relative gap that the fit certifies. Reading alone
is pyarrow's scanner with the columns, batches and read-ahead of the fit, every batch made an
array."""
    title = "5·10⁷ × 20, float32, from Parquet with 2 GiB of memory"
    return Case(title, 50_000_000, 100, entries, columns, notes, dtype="float32")


def reads() -> Case:
    losses = (
        "logistic", "squared hinge", "Huber", "RankSVM", "hinge", "quantile 0.9", "RankSVM hinge",
    )  # fmt: skip
    entries = [Entry("fit from Parquet", "stream", loss) for loss in losses]
    columns = ["loss", "reads", "fit, s", "gap", "client, MB"]
    notes = """\
Reads are batches counted at the source, divided by how many there are; the first read, which
validates, is one of them. Aims: at most 5 for smooth losses, at most 9 for hinge, quantile and
RankSVM hinge."""
    title = "reads of X by loss, 10⁷ × 20, tol = 1e-4"
    return Case(title, 10_000_000, 16, entries, columns, notes)


CASES = {
    "dask-ml": against_dask_ml,
    "spark": against_spark,
    "dask": on_dask,
    "overhead": overhead,
    "parquet": from_parquet,
    "reads": reads,
}
