"""The benchmark suite: its data are reproducible, and a case runs from end to end."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import dump_svmlight_file

from sklearn_margin.losses import PairwiseHinge, PairwiseSquaredHinge, Squared

pytestmark = pytest.mark.compiled
data = pytest.importorskip("benchmarks.data")  # not in the source distribution

from benchmarks import messages, peers, ranking_quality, stochastic  # noqa: E402
from benchmarks.__main__ import main  # noqa: E402
from benchmarks.cases import cases  # noqa: E402
from benchmarks.charts import curves, draw_all, lines_of  # noqa: E402
from benchmarks.harness import Case, Contestant, run_case  # noqa: E402
from benchmarks.race import fit_ours  # noqa: E402
from benchmarks.summary import (  # noqa: E402
    TASKS,
    by_task,
    family_of,
    race_lines,
    ratio,
    verdict,
)


@pytest.mark.parametrize(
    "make",
    [
        lambda: data.labels(200, 5),
        lambda: data.targets(200, 5),
        lambda: data.text.__wrapped__(200),  # not what is kept of the first
        lambda: data.relevance(200, 5, levels=3, group_size=10),
    ],
    ids=["labels", "targets", "text", "relevance"],
)
def test_generators_are_deterministic(make):
    for first, second in zip(make(), make(), strict=True):
        if sp.issparse(first):
            first, second = first.toarray(), second.toarray()
        np.testing.assert_array_equal(first, second)


def test_text_does_not_depend_on_chunks_and_has_unit_rows():
    X, y = data.text(150)
    X_chunks, y_chunks = data.text(150, chunk=40)
    np.testing.assert_array_equal(X.toarray(), X_chunks.toarray())
    np.testing.assert_array_equal(y, y_chunks)
    np.testing.assert_allclose(sp.linalg.norm(X, axis=1), 1)
    assert set(y) == {-1.0, 1.0}
    assert 50 < X.nnz / X.shape[0] < 70


def test_relevance_has_equal_levels_and_groups():
    _, y, groups = data.relevance(300, 4, levels=3, group_size=30)
    assert np.bincount(y.astype(int)).tolist() == [100, 100, 100]
    assert np.bincount(groups).tolist() == [30] * 10


def _case(*contestants):
    """Minimise 1 + x², the reference being x = 0."""
    return Case(
        "toy", lambda x: 1 + x**2, list(contestants), reference=lambda: 0.0, yardstick=lambda: None
    )


def test_ladders_are_climbed_until_the_level_is_reached():
    calls = []
    ours = Contestant("ours", lambda x: calls.append(x) or x, (1.0, 5e-3, 1e-4, 1e-5))
    result = run_case(_case(ours), _case(ours), repeats=3)
    row = result["rows"][0]
    assert [rung["rung"] for rung in row["rungs"]] == [1.0, 5e-3, 1e-4]  # the last is not needed
    assert [len(rung["seconds"]) for rung in row["rungs"]] == [1, 3, 3]
    assert all(row["time"]) and row["closest"] < 1e-6


def test_what_a_peer_lacks_or_raises_is_a_result():
    def fail(_):
        raise RuntimeError("no convergence")

    peers = [
        Contestant("missing", fail, (1,), package="no-such-distribution"),
        Contestant("failing", fail, (1,), package="scikit-learn"),
        Contestant("far off", lambda x: x, (1.0, 0.5), package="scikit-learn"),
    ]
    rows = run_case(_case(*peers), _case(*peers), repeats=2)["rows"]
    problems = [row["problem"] for row in rows]
    assert problems == ["not installed", "RuntimeError: no convergence", None]
    assert [row["time"] for row in rows] == [[None, None]] * 3
    assert rows[2]["closest"] == 0.25


def test_a_quick_case_from_end_to_end(tmp_path, capsys):
    assert main(["huber-dense", "--quick", "--output", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "quick.json").read_text())["cases"]
    rows = results["huber-dense"]["rows"]
    assert [row["name"] for row in rows] == ["sklearn_margin", "HuberRegressor"]
    assert all(row["time"][0] for row in rows)
    assert "HuberRegressor" in capsys.readouterr().out

    results["predict"] = results.pop("huber-dense") | {"title": "kept from an earlier run"}
    (tmp_path / "quick.json").write_text(json.dumps({"cases": results}))
    assert main(["huber-dense", "--quick", "--output", str(tmp_path)]) == 0
    assert main(["--quick", "--render", "--output", str(tmp_path)]) == 0
    markdown = (tmp_path / "quick.md").read_text()
    assert markdown.index("### Huber") < markdown.index("### kept from an earlier run")
    pictures = {"quick_overview.png", "quick_regression.png"}
    assert all(f"({name})" in markdown for name in pictures)
    assert {path.name for path in tmp_path.glob("*.png")} == pictures
    assert "* - Huber" in (tmp_path / "quick.rst").read_text()


def _row(name, package, seconds, longest=9.0, comparable=True):
    rungs = [{"rung": 1, "seconds": [longest], "excess": 1e-2}] if longest else []
    if seconds:
        rungs.append({"rung": 2, "seconds": [seconds], "excess": 1e-5})
    return {
        "name": name, "package": package, "time": [seconds, None], "longest": longest,
        "comparable": comparable, "rungs": rungs, "problem": None, "passes": 3,
    }  # fmt: skip


def _result(*rows, **details):
    result = {"title": "a case", "ratio": 4, "target": "", "rows": list(rows)} | details
    return result | {"summary": race_lines(result)}


def test_a_chart_shows_the_best_setting_of_each_package(tmp_path):
    result = _result(
        _row("sklearn_margin", "sklearn-margin", 0.1),
        _row("ours sgd", "sklearn-margin", 0.05), _row("slow", "scikit-learn", 0.4),
        _row("fast", "scikit-learn", 0.2), _row("fails", "scikit-learn", None),
        _row("far off", "unheard-of", None, longest=3.0),
        _row("of another objective", "rehline", None, comparable=False),
        _row("missing", "skglm", None, longest=None),
    )  # fmt: skip
    (line,) = lines_of(result)
    assert line["gain"] == pytest.approx(2)
    assert line["times"] == {
        "sklearn-margin": (0.1, True), "scikit-learn": (0.2, True), "unheard-of": (3.0, False),
    }  # fmt: skip
    assert ("fast", "scikit-learn", (0.2,), (1e-5,)) in curves(result)
    drawn = draw_all({"hinge-dense": result, "growth": {"summary": []}}, tmp_path, "some")
    assert [path.name for path in drawn] == [
        "some_overview.png", "some_hinge.png", "some_profiles.png"
    ]  # fmt: skip
    assert all(path.stat().st_size > 0 for path in drawn)


def test_lines_name_the_best_peer_and_who_is_ahead():
    ours = _row("sklearn_margin", "sklearn-margin", 0.1)
    slow = _row("slow 1 thread", "scikit-learn", 0.5)
    stuck = _row("stuck 2 threads", "skglm", None, longest=0.8)
    (line,) = _result(ours, slow, stuck)["summary"]
    assert line["peer"] == "slow 1 thread"
    assert ratio(line) == pytest.approx(5)
    assert verdict(line) == "met"
    assert verdict(line | {"theirs": 0.2}) == "ahead"  # but the target is 4
    assert verdict(line | {"theirs": 0.05}) == "lost"
    assert verdict(line | {"ours": None}) == "lost"

    (line,) = _result(ours, stuck)["summary"]
    assert line["peer"] == "none reaches it"
    assert line["bound"] == pytest.approx(8)
    assert verdict(line) == "met"  # whoever gets there takes more than 8 times as long
    assert verdict(line | {"bar": 10}) == "ahead"
    named = _result(ours, slow, stuck, versus={"slow": 6, "stuck": 1})["summary"]
    assert [(x["peer"], x["theirs"], verdict(x)) for x in named] == [
        ("slow 1 thread", 0.5, "ahead"), ("stuck 2 threads", None, "met")
    ]  # fmt: skip

    one = _row("sklearn_margin, one fit", "sklearn-margin", None, longest=0.02, comparable=False)
    last = _result(ours, one, slow, companion=6)["summary"][-1]
    assert last["case"] == "a case ÷ one fit"
    assert last["ours"] == pytest.approx(5)
    assert verdict(last) == "met"
    assert verdict(last | {"most": 4}) == "lost"


def test_every_race_has_its_line_in_the_overview():
    names = [n for n in cases() if not n.startswith(("growth", "reads", "ranking-quality"))]
    line = {"case": "", "ours": 1.0, "theirs": 2.0}
    for name in names:
        found = by_task({name: {"summary": [line]}})
        assert len(found) == 1 and family_of(name), name
    patterns = [way for ways in TASKS.values() for way in ways]
    assert len(set(patterns)) == len(patterns)


@pytest.mark.parametrize(
    ("case", "family"),
    [
        ("hinge-sparse-C1", "hinge"), ("l1-logistic-sparse", "l1"), ("fresh", "process"),
        ("flights-logistic", "logistic"), ("flights-quantile", "regression"),
        ("rank-queries", "ranking"), ("ranking-quality-letor", None),
    ],
)  # fmt: skip
def test_family_of_a_case(case, family):
    assert family_of(case) == family


def test_unknown_names_are_refused_and_patterns_understood(capsys):
    with pytest.raises(SystemExit):
        main(["no-such-case"])
    assert "hinge-dense" in capsys.readouterr().err
    assert main(["--list", "hinge-dense*", "growth"]) == 0
    expected = ["hinge-dense", "hinge-dense-small", "hinge-dense-million"]
    expected += ["hinge-dense-C0.01", "hinge-dense-C100", "growth"]
    assert capsys.readouterr().out.split() == expected
    assert set(expected) < set(cases())


def _letor_folder(folder):
    """A small ranking problem in the form of LightGBM's example."""
    rng = np.random.default_rng(0)
    for name, n_queries in (("train", 40), ("test", 10)):
        X = rng.normal(size=(8 * n_queries, 5)).round(3)
        y = np.clip(np.round(X @ [1.0, 1.0, 0, 0, 0] + 1), 0, 3)
        query_id = np.repeat(np.arange(n_queries), 8)
        dump_svmlight_file(X, y, str(folder / f"{name}.svm"), query_id=query_id)


def test_ranking_quality_from_end_to_end(tmp_path, monkeypatch, capsys):
    _letor_folder(tmp_path)
    monkeypatch.setenv("LETOR_FOLDER", str(tmp_path))

    def fail(part, setting):
        raise ValueError("no")

    rankers = [r for r in ranking_quality.RANKERS if r.name in ("RankSVM squared hinge", "Ridge")]
    rankers.append(ranking_quality.Ranker("failing", fail, (1,)))
    rankers.append(ranking_quality.Ranker("missing", fail, (1,), "no-such-distribution"))
    monkeypatch.setattr(ranking_quality, "RANKERS", rankers)
    assert main(["ranking-quality-letor", "--quick", "--output", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "quick.json").read_text())["cases"]["ranking-quality-letor"]
    ours, ridge, failing, missing = result["table"]["rows"]
    assert float(ours[3]) > 0.98  # NDCG@10
    assert ours[4] == "–"
    assert float(ours[5]) > 0.95  # pairwise accuracy
    assert float(ridge[4].split(" ± ")[0]) == pytest.approx(
        float(ridge[3]) - float(ours[3]), abs=1.5e-4
    )
    assert failing[1] == "ValueError: no"
    assert missing[1] == "not installed"
    assert "40 queries of 320 rows, judged on 10 queries of 80 rows" in capsys.readouterr().out


def test_ranking_quality_without_its_data(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LETOR_FOLDER", str(tmp_path))
    assert main(["ranking-quality-letor", "--quick", "--output", str(tmp_path)]) == 0
    assert "ranking-quality-letor is left out: LETOR_FOLDER" in capsys.readouterr().out


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_the_elastic_net_of_scikit_learn_is_ours(l1_ratio):
    """Their loss is ½r², ours r²: half of alpha is the same problem."""
    X, y = data.targets(200, 5)
    p = data.Problem(X, y, Squared(), 0.1, l1_ratio=l1_ratio)
    best = p.value(fit_ours(p, 1e-9))
    assert p.value(peers.elastic_net(p).fit(1e-10)) == pytest.approx(best, rel=1e-8)


def test_an_epoch_is_told_from_what_comes_before(monkeypatch):
    """By a clock that a fit moves by 3 s and then 1 an epoch."""
    now = [0.0]
    monkeypatch.setattr(stochastic.time, "perf_counter", lambda: now[0])

    def fit(epochs):
        now[0] += 3 + epochs
        return 0.5**epochs

    p = SimpleNamespace(value=lambda x: 2 + x)
    row = stochastic._measure(Contestant("one", fit, (1,)), p, 2.0, repeats=2)
    assert (row["epoch"], row["setup"]) == (1, 3)
    assert row["errors"] == pytest.approx([0.5**epochs / 2 for epochs in (1, 5, 20)])


def test_peers_of_ranking_minimise_what_they_say():
    """Explicit pairs reach the objective; FastSurvivalSVM only if all labels differ."""
    X, y, groups = data.relevance(300, 4, levels=3, group_size=30)
    for loss in (PairwiseSquaredHinge(weighting="uniform"), PairwiseHinge(weighting="uniform")):
        p = data.Problem(X, y, loss, 1e-2, groups=groups)
        best = p.value(fit_ours(p, 1e-9))
        assert p.value(peers.explicit_pairs(p, dual=True).fit(2**12)) == pytest.approx(
            best, rel=1e-3
        )
    survival = peers.survival_svm(data.Problem(X, y, loss, 1e-2), tree="rbtree")
    assert not survival.comparable
    X, y, _ = data.relevance(300, 4)
    survival = peers.survival_svm(data.Problem(X, y, loss, 1e-2), tree="rbtree")
    assert survival.comparable


def test_messages_of_an_evaluation_by_hand():
    """One worker: hops, queues and bytes in a row; a second worker waits for the queues."""
    costs = messages.Costs(latency=1.0, task=0.5, submit=0.25, notice=0.125, bandwidth=np.inf)
    one = messages.Evaluation(1, parts=1, d=2)
    # There and back: where parts are, 2; the task, 2; its end, 2; to gather by the scheduler, 4.
    by_hand = 10 * costs.latency + costs.submit + costs.task + costs.notice
    assert messages.overhead(one, costs) == pytest.approx(by_hand, abs=1e-3)
    two = messages.overhead(messages.Evaluation(2, parts=1, d=2), costs)
    assert two == pytest.approx(by_hand + costs.submit + costs.notice / 2, abs=0.3)


def test_a_tree_of_sums_brings_one_term_to_the_client():
    many = messages.Evaluation(300, parts=4, d=50, hessian=True)
    costs, sizes = messages.Costs(), {}
    for way in messages.WAYS:
        simulation = messages.Simulation(dataclasses.replace(many, way=way), costs, lambda k: 0.0)
        assert 0 < simulation.run() < 10
        sizes[way] = simulation.received / many.term.size
    assert sizes == {"by part": 1200, "by worker": 300, "in a tree": 1}
