"""A small synthetic dataset, and run folders on it like those of training."""

import json

import numpy as np

from recns_tf import datasets
from recns_tf.config.config import Config
from recns_tf.evaluation import ranking
from recns_tf.runs.data import data_settings

SETTINGS = {
    "dataset": "synthetic",
    "synthetic_users": 120,
    "synthetic_items": 90,
    "synthetic_clicks": 2_400,
    "synthetic_exposures": 500,
}


def load(data_dir):
    return datasets.load(Config(**SETTINGS), data_dir)


def row(epoch, recall, **more):
    metrics = {"recall@20": recall, "ndcg@20": recall / 2, "hr@20": 0.5, "users": 9}
    return {"epoch": epoch, "loss": 1 / epoch, "valid": metrics, "seconds": 0.5, **more}


def write_run(folder, data, seed=0, epochs=4, finished=True, **settings):
    """Write the folder of a run with random embeddings and return it."""
    folder.mkdir(parents=True)
    config = data_settings(Config(**SETTINGS)) | {
        "encoder": "lightgcn", "sampler": "recns", "margin": 0.1, "seed": seed, **settings,
    }  # fmt: skip
    recorded = config | {"data_checksum": data.checksum}
    (folder / "config.json").write_text(json.dumps(recorded))
    rows = [
        row(n, 0.1 + 0.01 * n + 0.001 * seed, false_negatives=0.02, hardness=0.1 * n)
        for n in range(1, epochs + 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if not finished:
        return folder
    rng = np.random.default_rng(seed + 10)
    tables = [rng.normal(size=(n, 6)).astype(np.float32) for n in data.train.shape]
    (folder / "embeddings").mkdir()
    for name, table in zip(("user", "item"), tables, strict=True):
        np.save(folder / "embeddings" / f"{name}.npy", table)
    results = {
        "dataset": config["dataset"],
        "encoder": config["encoder"],
        "sampler": config["sampler"],
        "seed": seed,
        "best_epoch": epochs,
        "epochs_run": epochs,
        "valid": rows[-1]["valid"],
        "test": ranking.evaluate(*tables, data.test, data.train + data.valid),
        "paper": None,
        "seconds_per_epoch": 0.5,
        "training_seconds": 2.0,
        "sampling_seconds": 1.0,
        "negatives": {"false_negatives": 0.02},
        "region": {
            "kind": "intermediate", "khop": 3, "reading": "walk", "share_of_unobserved": 0.8,
            "coverage": {"mean": 0.7, "p5": 0.6, "median": 0.71, "p95": 0.8},
            "users_under_num_candidates": 2, "users_without": 0,
        },
        "config": config,
        "data": {"checksum": data.checksum, "source": {"split": "random"}},
        "versions": {"python": "3.11", "tensorflow": "2.21"},
        "git_commit": "0123456789abcdef+",
    }  # fmt: skip
    (folder / "results.json").write_text(json.dumps(results))
    return folder
