"""Final evaluation of a run, and its output files: embeddings, learning curves, results.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recns_tf.config.config import Config
from recns_tf.datasets import cache
from recns_tf.errors import UserError
from recns_tf.evaluation import ranking
from recns_tf.evaluation.display import label, metric_lines, part_columns, recorded_metrics
from recns_tf.evaluation.part_metrics import saturation_sentences
from recns_tf.interactions import Interactions
from recns_tf.ops import kernels
from recns_tf.ops.workers import workers
from recns_tf.regions.region import Region
from recns_tf.runs.files import ANEW
from recns_tf.runs.folder import Row, RunFolder
from recns_tf.runs.provenance import git_commit, versions
from recns_tf.runs.published import published
from recns_tf.training.callbacks import SLACK_BYTES, kept_row
from recns_tf.training.curves import plot_curves
from recns_tf.training.divergence import require_finite_scores, warnings
from recns_tf.training.load import load_best_weights
from recns_tf.training.negative_statistics import STATISTICS
from recns_tf.training.sampled_rec import SampledRec
from recns_tf.utils import devices
from recns_tf.utils.damage import reading
from recns_tf.utils.failures import require_space

PARTS = {"valid": "validation", "test": "test"}
"""Names of the held-out parts of a dataset for messages."""
TOLERANCE = 1e-3
"""How much a validation metric may differ when it is measured again. A GPU, or another processor,
adds numbers in another order, so that items of almost equal score may swap."""


def measure(
    config: Config,
    embeddings: tuple[NDArray[np.float32], NDArray[np.float32]],
    interactions: Interactions,
    part: str,
    rank: ranking.Rank | None = None,
) -> Row:
    """Return the metrics that a run's settings choose; see `ranking.evaluate_part`."""
    return ranking.evaluate_part(
        *embeddings,
        interactions,
        part,
        config.ks,
        ranker=config.ranker,
        depth=config.ranking_depth,
        rank=rank,
    )


def validation(
    config: Config,
    embeddings: Callable[[], tuple[NDArray[np.float32], NDArray[np.float32]]],
    interactions: Interactions,
    rank: ranking.Rank | None = None,
) -> Callable[[int], Row] | None:
    """Return a function that evaluates a model for early stopping, or None without positives.

    Args:
        config: all settings.
        embeddings: returns the embeddings of the model.
        interactions: the dataset.
        rank: as for `ranking.evaluate`.

    The function takes the number of the epoch, counted from 1. It raises UserError if a score is
    not finite.
    """
    part = config.validate_on
    if part == "test":
        effect = {
            "best": "the test metrics will be those of the best epoch on test",
            "last": "the test metrics decide when training ends",
        }
        print(f"--validate_on=test: {effect[config.keep]}.")
    if not getattr(interactions, part).nnz:
        print(f"no {PARTS[part]} positives: training runs for all --epochs and keeps the last one.")
        return None

    def validate(epoch: int) -> Row:
        found = embeddings()
        require_finite_scores(*found, epoch)
        return measure(config, found, interactions, part, rank)

    return validate


def finish(
    config: Config,
    interactions: Interactions,
    model: SampledRec,
    region: Region,
    folder: RunFolder,
    strategy: str,
    keep_data: bool = False,
) -> dict[str, Any]:
    """Restore the kept weights, test them once, and write the output files of a run.

    Validation is measured again, so that weights other than those of the kept epoch are noticed.

    Args:
        config: all settings.
        interactions: the dataset.
        model: the trained model.
        region: the region that candidates were drawn from.
        folder: folder of the run.
        strategy: the value of --strategy that this process trained with.
        keep_data: whether to write the dataset, too.

    Returns:
        The content of results.json.

    Raises:
        UserError: a score is not finite, a file is damaged or was changed, or the kept weights do
            not give the validation metrics recorded for them.
    """
    rows = folder.rows()
    with reading(folder.metrics, ANEW):
        kept = kept_row(rows, config.selection_metric, config.keep)
        assert kept is not None, "a run has at least one epoch"
        seconds = [row["seconds"] for row in rows]
        sampling_seconds = sum(row["sampling_seconds"] for row in rows)
        negatives = {name: kept[name] for name in STATISTICS}
    load_best_weights(model, folder)
    embeddings = model.encoder.embeddings()
    require_finite_scores(*embeddings, kept["epoch"])
    if "valid" in kept:
        check_validation(
            kept, measure(config, embeddings, interactions, config.validate_on), folder
        )
    arrays = {
        "user": embeddings[0],
        "item": embeddings[1],
        "user_ids": interactions.user_ids,
        "item_ids": interactions.item_ids,
    }
    size = sum(array.nbytes for array in arrays.values()) + SLACK_BYTES
    require_space(folder.path, size, "the folder embeddings/")
    for name, array in arrays.items():
        with folder.manifest.replacing(folder.embeddings / f"{name}.npy") as temporary:
            np.save(temporary, array, allow_pickle=False)
    if keep_data:
        with folder.manifest.replacing(folder.interactions) as temporary:
            cache.write(temporary, interactions)
    title = f"{config.dataset}, {config.encoder}, {config.sampler}, seed {config.seed}"
    plot_curves(rows, kept["epoch"], title, folder.curves, config.keep)
    results = {
        "dataset": config.dataset,
        "encoder": config.encoder,
        "sampler": config.sampler,
        "seed": config.seed,
        "best_epoch": kept["epoch"],
        "epochs_run": len(rows),
        "valid": kept.get("valid")
        if config.validate_on == "valid"
        else measure(config, embeddings, interactions, "valid"),
        "test": measure(config, embeddings, interactions, "test"),
        "paper": published(config),
        "seconds_per_epoch": round(float(np.median(seconds)), 3),
        "training_seconds": round(sum(seconds), 3),
        "sampling_seconds": round(sampling_seconds, 3),
        "negatives": negatives,
        "warnings": warnings(rows),
        "region": region.describe(config.num_candidates),
        "config": config.to_json(),
        "devices": {
            "names": devices.names(),
            "strategy": strategy,
            "replicas": model.strategy.num_replicas_in_sync,
            "workers": workers().count,
            "kernels": kernels.resolve(config.kernels),
        },
        "data": {"checksum": interactions.checksum, "source": interactions.source},
        "versions": versions(),
        "git_commit": git_commit(),
    }
    folder.write_results(results)
    return results


def check_validation(kept: Row, measured: Row, folder: RunFolder) -> None:
    """Raise UserError if the metrics of the restored weights are not those recorded for them.

    Metrics that the version of the run did not record are not compared.

    Args:
        kept: the row of the kept epoch.
        measured: the validation metrics of the restored weights.
        folder: folder of the run.
    """
    for name in recorded_metrics([kept["valid"]]):
        recorded = kept["valid"][name]
        found = measured.get(name, recorded)
        if not abs(found - recorded) <= TOLERANCE * max(1, abs(recorded)):
            raise UserError(
                f"{folder.best_weights} gives a validation {label(name)} of {found:.6f}, but "
                f"epoch {kept['epoch']} of {folder.metrics} has {recorded:.6f}, so that these are "
                f"not the weights of that epoch: {ANEW}."
            )


def table(results: dict[str, Any], folder: RunFolder) -> str:
    """Return the summary of a finished run for the screen."""
    head = " ".join(f"{results[key]}" for key in ("dataset", "encoder", "sampler"))
    keep = results.get("config", {}).get("keep", "best")
    lines = [
        "",
        f"{head}, seed {results['seed']}: "
        f"{keep} epoch {results['best_epoch']} of {results['epochs_run']}",
        *metric_lines(part_columns(results)),
        *saturation_sentences(results["test"]),
        f"{results['seconds_per_epoch']:.2f} s per epoch, "
        f"{results['training_seconds']:.0f} s of training",
        f"{folder.path}/: results.json metrics.jsonl curves.png embeddings/ best/ config.json",
    ]
    return "\n".join(lines)
