"""From the reference to the guide: which pages of it are about an object.

Docstrings stay plain text for ``help()``; the templates in ``_templates/autosummary`` add these
links, and below them the examples of the gallery that use the object.
"""

from pathlib import Path

_CLASSES = "classification losses/binary"
_SEVERAL = "classification losses/multiclass"
_PROBABILITY = "classification losses/probability"
_RESIDUAL = "robust_regression losses/regression"
_PAIRS = "ranking losses/pairwise clicks"
_METRICS = "rank_a_table ranking"

#: Pages below ``user_guide`` by object, the first to read first.
GUIDE = {
    "": {
        "AlphaSearchCV": "paths rank_a_table",
        "Batches": "large_data large_data_cost",
        "HingeClassifier": "classification losses/binary objective",
        "HuberRegressor": "robust_regression losses/regression objective",
        "LinearClassifier": "classification losses/index objective",
        "LinearEmbedding": "embeddings",
        "LinearRanker": "rank_a_table ranking clicks censored_times losses/pairwise",
        "LinearRegressor": "robust_regression losses/regression objective",
        "OrdinalClassifier": "ordinal classification",
        "QuantileRegressor": "quantiles objective",
        "RankSVM": "rank_a_table ranking clicks censored_times losses/pairwise",
        "check_loss": "custom_losses",
        "regularization_path": "paths",
    },
    "losses": {
        **dict.fromkeys(["Hinge", "SquaredHinge", "SmoothedHinge", "ModifiedHuber"], _CLASSES),
        "Logistic": "classification losses/binary losses/probability",
        **dict.fromkeys(["CrammerSinger", "WestonWatkins"], _SEVERAL),
        "CrossEntropy": "classification losses/multiclass losses/probability",
        **dict.fromkeys(["Focal", "Poly"], _PROBABILITY),
        "Dice": "classification losses/batch",
        **dict.fromkeys(["Squared", "Absolute", "Huber"], _RESIDUAL),
        **dict.fromkeys(["EpsilonInsensitive", "SquaredEpsilonInsensitive"], _RESIDUAL),
        "Quantile": "quantiles losses/regression",
        **dict.fromkeys(["PairwiseHinge", "PairwiseSquaredHinge", "PairwiseLogistic"], _PAIRS),
        "MarginRanking": "ranking losses/pairwise",
        "ListwiseSoftmax": "ranking losses/listwise",
        **dict.fromkeys(["Contrastive", "Triplet", "InfoNCE", "Circle", "NCA"], "embeddings"),
        **dict.fromkeys(["MultipleNegativesRanking", "GE2E", "ArcFace"], "embeddings"),
        "Loss": "custom_losses losses/index",
        **dict.fromkeys(["PointwiseLoss", "BinaryLoss", "RegressionLoss"], "custom_losses"),
        "MulticlassLoss": "custom_losses custom_loss_families losses/multiclass",
        "ProbabilityLoss": "custom_losses custom_loss_families losses/probability",
        "BatchLoss": "custom_losses custom_loss_families losses/batch",
        "PairwiseLoss": "custom_losses custom_loss_families losses/pairwise",
        "EmbeddingLoss": "custom_losses custom_loss_families embeddings",
    },
    "solvers": {
        **dict.fromkeys(["Newton", "CoordinateDescent", "LBFGS"], "solvers speed"),
        **dict.fromkeys(["InteriorPoint", "DualCD", "Smoothing"], "solvers certificates"),
        **dict.fromkeys(["SGD", "Subgradient"], "solvers certificates"),
        "Adam": "embeddings solvers",
        **dict.fromkeys(["Solver", "InTurn", "candidates", "choose", "resolve"], "solvers"),
        "Result": "certificates solvers",
    },
    "inference": {
        "CoefInference": "inference",
        "coef_inference": "inference",
    },
    "metrics": {
        **dict.fromkeys(["ndcg_score", "pairwise_accuracy_score"], f"{_METRICS} clicks"),
        **dict.fromkeys(["average_precision_score", "reciprocal_rank_score"], _METRICS),
        **dict.fromkeys(["precision_at_k_score", "make_ranking_scorer"], _METRICS),
        "concordance_index_score": "censored_times ranking",
        **dict.fromkeys(["pinball_loss", "make_pinball_scorer"], "quantiles"),
    },
    "plotting": {
        "AlphaSearchDisplay": "paths",
        "CoefficientDisplay": "objective paths inference",
        "ConvergenceDisplay": "certificates progress",
        "EmbeddingDisplay": "embeddings",
        "HardnessDisplay": "embeddings",
        "LossDisplay": "losses/index",
        "PathDisplay": "paths",
        "RankingDisplay": "rank_a_table ranking",
    },
}


def by_full_name():
    """The same by the name that an object is imported by."""
    return {
        ".".join(filter(None, ["sklearn_margin", module, name])): pages.split()
        for module, objects in GUIDE.items()
        for name, pages in objects.items()
    }


def give_to_templates(app, config):
    """Let the templates of autosummary know the links; warn of pages that are not there."""
    from sphinx.util import logging

    config.autosummary_context["guide"] = by_full_name()
    pages = {page for pages in by_full_name().values() for page in pages}
    for page in sorted(pages):
        if not (Path(app.srcdir) / "user_guide" / f"{page}.rst").is_file():
            logging.getLogger(__name__).warning("api_links.py: no page user_guide/%s", page)


def setup(app):
    """Connect to Sphinx."""
    app.connect("config-inited", give_to_templates)
    return {"parallel_read_safe": True}
