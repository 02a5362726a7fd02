"""
Send a ranker elsewhere as ONNX
===============================

A pipeline of scaler, encoder and :class:`~sklearn_margin.RankSVM` becomes one ONNX graph, which
programs without Python, scikit-learn or this library can run. The picture shows how far its scores
are from those of the pipeline, in float32 and in float64.
"""

# %%
# Hotels that were shown for searches: what is known of each, and whether it was looked at (1) or
# booked (2).
import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_margin import RankSVM

rng = np.random.default_rng(0)
n = 3000
table = pd.DataFrame({
    "price": rng.lognormal(4.5, 0.5, n), "stars": rng.integers(1, 6, n).astype(float),
    "district": rng.choice(["centre", "harbour", "airport"], n),
})  # fmt: skip
search = rng.integers(300, size=n)
worth = 0.8 * table["stars"] - 2 * np.log(table["price"]) + (table["district"] == "centre")
rank = (worth + rng.gumbel(size=n)).groupby(search).rank(ascending=False)
outcome = np.select([rank == 1, rank <= 3], [2, 1], 0)

columns = make_column_transformer(
    (StandardScaler(), ["price", "stars"]), (OneHotEncoder(), ["district"])
)
model = make_pipeline(columns, RankSVM()).fit(table, outcome, ranksvm__groups=search)

# %%
# ``to_onnx`` asks for the type of each column, and nothing has to be registered. The graph is
# all that the other side needs; here, onnxruntime runs it.


def scores_by_onnx(real, dtype):
    types = {"price": real, "stars": real, "district": StringTensorType}
    graph = to_onnx(model, initial_types=[(k, kind([None, 1])) for k, kind in types.items()])
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    given = {k: table[[k]].to_numpy(object if k == "district" else dtype) for k in types}
    return session.run(None, given)[0].ravel()


found = {
    "float32": scores_by_onnx(FloatTensorType, np.float32),
    "float64": scores_by_onnx(DoubleTensorType, np.float64),
}

# %%
# How far are they apart? (Scores that are equal to the last bit are drawn at 1e-18.)
expected = model.predict(table)
figure, (top, bottom) = plt.subplots(2, 1, figsize=(5.6, 5.6))
top.scatter(expected, found["float32"], s=4)
top.set(xlabel="score in Python", ylabel="score by ONNX")
for k, (name, scores) in enumerate(found.items()):
    error = np.maximum(np.abs(scores - expected), 1e-18)
    bottom.hist(error, np.logspace(-18, -5, 53), color=f"C{k}", label=name)
    print(f"{name}: largest error {error.max():.1e}")
bottom.set(xscale="log", xlabel="error of a score", ylabel="rows")
bottom.legend()

# %%
# Scores of float32 are off in the seventh digit: enough to rank by, unless two hotels are that
# close. :doc:`/user_guide/deploy` says which models convert, and what else a model can be saved as.
