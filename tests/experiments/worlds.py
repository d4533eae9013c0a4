"""Made-up run folders and lines, for tests of the processing of finished runs."""

import json

from recns_tf.config.config import Config
from recns_tf.experiments.cells import Cell
from recns_tf.experiments.results import Line

METRICS = ("recall@20", "ndcg@20", "hr@20")
SMALL = {
    "synthetic_users": 60, "synthetic_items": 80, "synthetic_clicks": 900,
    "synthetic_exposures": 500, "dim": 8,
}  # fmt: skip


def results(cell: Cell, test: tuple[float, float, float], **more):
    """Return the content of a results.json with these test metrics."""
    metrics = dict(zip(METRICS, test, strict=True))
    config = cell.config
    return {
        "dataset": config.dataset, "encoder": config.encoder, "sampler": config.sampler,
        "seed": config.seed, "best_epoch": 2, "epochs_run": 3, "training_seconds": 12.0,
        "seconds_per_epoch": 4.0, "valid": metrics, "test": metrics, "config": config.to_json(),
        "data": {"checksum": "x"}, "git_commit": f"of {cell.name}", **more,
    }  # fmt: skip


def finish(cell: Cell, runs_dir, test=(0.1, 0.2, 0.3), rows=(), **more):
    """Write the folder of a finished run, with these rows of metrics.jsonl."""
    folder = runs_dir / cell.name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(cell.config.to_json()))
    (folder / "results.json").write_text(json.dumps(results(cell, test, **more)))
    if rows:
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def epoch(number, **values):
    """Return a row of metrics.jsonl, of an epoch of 2 seconds unless `values` say otherwise."""
    return {"epoch": number, "loss": 0.5, "seconds": 2.0, **values}


def line(value, *recalls, encoder="lightgcn", paper=None):
    """Return a line whose NDCG is half its recall and whose HR is .5."""
    runs = []
    for seed, recall in enumerate(recalls):
        test = {"recall@20": recall, "ndcg@20": recall / 2, "hr@20": 0.5}
        runs.append((Cell(f"{encoder}-{value}-{seed}", Config(seed=seed)), {"test": test}))
    return Line(encoder, value, str(value), runs, paper)
