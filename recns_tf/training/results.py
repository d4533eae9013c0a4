"""Final evaluation of a run, and its output files: embeddings, learning curves, results.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recns_tf.config.config import Config
from recns_tf.evaluation import ranking
from recns_tf.evaluation.display import metric_lines, part_columns
from recns_tf.evaluation.part_metrics import saturation_sentences
from recns_tf.interactions import Interactions
from recns_tf.regions.region import Region
from recns_tf.runs.folder import Row, RunFolder, reading
from recns_tf.runs.provenance import git_commit, versions
from recns_tf.runs.published import published
from recns_tf.training.callbacks import SLACK_BYTES, best_row
from recns_tf.training.curves import plot_curves
from recns_tf.training.divergence import require_finite_scores, warnings
from recns_tf.training.negative_statistics import STATISTICS
from recns_tf.training.sampled_rec import SampledRec
from recns_tf.utils.failures import require_space
from recns_tf.utils.files import atomic, write_json

PARTS = {"valid": "validation", "test": "test"}
"""Names of the held-out parts of a dataset for messages."""


def measure(
    config: Config,
    embeddings: tuple[NDArray[np.float32], NDArray[np.float32]],
    interactions: Interactions,
    part: str,
) -> Row:
    """Return the metrics on a held-out part, excluding seen items from the rankings.

    Seen items are those of train, and for "test" also those of valid.

    Args:
        config: settings of the ranking.
        embeddings: user and item embeddings, float32 [U, d] and [I, d].
        interactions: the dataset.
        part: "valid" or "test".

    Returns:
        Metrics by name.
    """
    return ranking.evaluate(
        *embeddings,
        getattr(interactions, part),
        interactions.seen(part),
        config.ks,
        train=interactions.train,
        ranker=config.ranker,
        depth=config.ranking_depth,
    )


def validation(
    config: Config, model: SampledRec, interactions: Interactions
) -> Callable[[int], Row] | None:
    """Return a function that evaluates the model for early stopping, or None without positives.

    The function takes the number of the epoch, counted from 1. It raises UserError if a score is
    not finite.
    """
    part = config.validate_on
    if part == "test":
        print("--validate_on=test: the test metrics will be those of the best epoch on test.")
    if not getattr(interactions, part).nnz:
        print(f"no {PARTS[part]} positives: training runs for all --epochs and keeps the last one.")
        return None

    def validate(epoch: int) -> Row:
        embeddings = model.encoder.embeddings()
        require_finite_scores(*embeddings, epoch)
        return measure(config, embeddings, interactions, part)

    return validate


def finish(
    config: Config,
    interactions: Interactions,
    model: SampledRec,
    region: Region,
    folder: RunFolder,
) -> dict[str, Any]:
    """Restore the best weights, test them once, and write the output files of a run.

    Args:
        config: all settings.
        interactions: the dataset.
        model: the trained model.
        region: the region that candidates were drawn from.
        folder: folder of the run.

    Returns:
        The content of results.json.

    Raises:
        UserError: a score is not finite; nothing is written.
    """
    rows = folder.rows()
    best = best_row(rows, config.selection_metric)
    assert best is not None, "a run has at least one epoch"
    with reading(folder.best_weights):
        model.load_weights(folder.best_weights)
    embeddings = model.encoder.embeddings()
    require_finite_scores(*embeddings, best["epoch"])
    arrays = {
        "user": embeddings[0],
        "item": embeddings[1],
        "user_ids": interactions.user_ids,
        "item_ids": interactions.item_ids,
    }
    size = sum(array.nbytes for array in arrays.values()) + SLACK_BYTES
    require_space(folder.path, size, "the folder embeddings/")
    for name, array in arrays.items():
        with atomic(folder.embeddings / f"{name}.npy") as temporary:
            np.save(temporary, array, allow_pickle=False)
    title = f"{config.dataset}, {config.encoder}, {config.sampler}, seed {config.seed}"
    plot_curves(rows, best["epoch"], title, folder.curves)
    seconds = [row["seconds"] for row in rows]
    results = {
        "dataset": config.dataset,
        "encoder": config.encoder,
        "sampler": config.sampler,
        "seed": config.seed,
        "best_epoch": best["epoch"],
        "epochs_run": len(rows),
        "valid": best.get("valid")
        if config.validate_on == "valid"
        else measure(config, embeddings, interactions, "valid"),
        "test": measure(config, embeddings, interactions, "test"),
        "paper": published(config),
        "seconds_per_epoch": round(float(np.median(seconds)), 3),
        "training_seconds": round(sum(seconds), 3),
        "sampling_seconds": round(sum(row["sampling_seconds"] for row in rows), 3),
        "negatives": {name: best[name] for name in STATISTICS},
        "warnings": warnings(rows),
        "region": region.describe(config.num_candidates),
        "config": config.to_json(),
        "data": {"checksum": interactions.checksum, "source": interactions.source},
        "versions": versions(),
        "git_commit": git_commit(),
    }
    write_json(folder.results, results)
    return results


def table(results: dict[str, Any], folder: RunFolder) -> str:
    """Return the summary of a finished run for the screen."""
    head = " ".join(f"{results[key]}" for key in ("dataset", "encoder", "sampler"))
    lines = [
        "",
        f"{head}, seed {results['seed']}: "
        f"best epoch {results['best_epoch']} of {results['epochs_run']}",
        *metric_lines(part_columns(results)),
        *saturation_sentences(results["test"]),
        f"{results['seconds_per_epoch']:.2f} s per epoch, "
        f"{results['training_seconds']:.0f} s of training",
        f"{folder.path}/: results.json metrics.jsonl curves.png embeddings/ best/ config.json",
    ]
    return "\n".join(lines)
