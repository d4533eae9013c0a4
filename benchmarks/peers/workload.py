"""What both programs train: the settings, and the names that each program has for them.

The model, the loss and the optimizer are equal in both: LightGCN without weights of layers, the
BPR loss averaged over the pairs of a batch, Adam, initial embeddings of Xavier's uniform law, one
negative for each train pair, drawn from the items that are no train positives of the user. Both
penalties are l2 times half the squared length of the layer-0 rows of a batch, divided by its pairs.
RecBole's is this one with `require_pow`; otherwise lengths are not squared.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

ENCODER = "lightgcn"
DIM, LAYERS, BATCH = 64, 3, 2_048
RATE, L2 = 1e-3, 1e-4
CANDIDATES = 20

NEGATIVES = {
    "uniform": "a uniform item",
    "dynamic": f"the best by score of {CANDIDATES} uniform items",
}
SAMPLERS = {"uniform": "unins", "dynamic": "dns"}
"""The sampler of this library for each kind of negatives."""

EPOCHS = {"ml-100k": 50}
FEW_EPOCHS = 2
"""Timed epochs of datasets that are not in EPOCHS."""


class Workload(NamedTuple):
    """What is trained in one run of either program.

    Attributes:
        dataset: name of the dataset.
        negatives: kind of negatives, one of NEGATIVES.
        epochs: all epochs, of which the first is not timed.
    """

    dataset: str
    negatives: str
    epochs: int

    @property
    def name(self) -> str:
        """The dataset and the kind of negatives, as in names of files and in tables."""
        return f"{self.dataset}-{self.negatives}"


def own_settings(workload: Workload, seed: int) -> dict[str, Any]:
    """Return the settings of this library.

    Only the last epoch is validated, so that its embeddings are those of the run.
    """
    return {
        "sampler": SAMPLERS[workload.negatives],
        "region": "all",
        "num_negatives": 1,
        "num_candidates": CANDIDATES,
        "loss": "bpr",
        "dim": DIM,
        "num_layers": LAYERS,
        "layer_weights": "mean",
        "adjacency": "symmetric",
        "initializer": "glorot",
        "pair_sampling": "edges",
        "batch_size": BATCH,
        "learning_rate": RATE,
        "l2": L2,
        "l2_scope": "own",
        "epochs": workload.epochs,
        "eval_every": workload.epochs,
        "patience": workload.epochs,
        "seed": seed,
    }


def recbole_settings(workload: Workload, seed: int, folder: Path) -> Mapping[str, Any]:
    """Return the settings of RecBole.

    Args:
        workload: what is trained.
        seed: seed of all draws.
        folder: the folder around that of the files of `atomic_files`.
    """
    is_dynamic = workload.negatives == "dynamic"
    return {
        "data_path": str(folder),
        "benchmark_filename": ["train", "valid", "test"],
        "load_col": {
            "inter": ["user_id", "item_id"],
            "user": ["user_id"],
            "item": ["item_id"],
        },
        "train_neg_sample_args": {
            "distribution": "uniform",
            "sample_num": 1,
            "alpha": 1.0,
            "dynamic": is_dynamic,
            "candidate_num": CANDIDATES if is_dynamic else 0,
        },
        "embedding_size": DIM,
        "n_layers": LAYERS,
        "train_batch_size": BATCH,
        "learning_rate": RATE,
        "reg_weight": L2,
        "require_pow": True,
        "epochs": workload.epochs,
        "seed": seed,
        "use_gpu": False,
        "show_progress": False,
    }
