"""A complete run: data, region, model, training, test and output files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from recns_tf import datasets
from recns_tf.config.config import Config, Workspace, complete
from recns_tf.datasets.cold_start import cold_start, sentences
from recns_tf.errors import UserError
from recns_tf.evaluation.part_metrics import caveats
from recns_tf.interactions import Interactions
from recns_tf.runs.folder import RunFolder, reading
from recns_tf.training.build import build
from recns_tf.training.callbacks import EpochEnd, Refresh, out_of_patience
from recns_tf.training.progress import Progress
from recns_tf.training.results import finish, table, validation
from recns_tf.utils.memory import is_out_of_memory, out_of_memory


def train_and_evaluate(
    config: Config,
    workspace: Workspace,
    interactions: Interactions | None = None,
    cache: Path | None = None,
    before: Callable[[RunFolder], None] | None = None,
) -> dict[str, Any]:
    """Train a model, test it once, and write the run's folder.

    If a run of the same name and settings was interrupted, it is resumed and gives the same
    numbers. If it is finished, its results are printed again.

    Args:
        config: all settings that the result depends on.
        workspace: where to read and write files.
        interactions: the dataset; None loads `config.dataset`.
        cache: folder of cached regions; None disables the cache. Without `interactions`, the
            folder of the dataset is used.
        before: called with the run's folder after it is locked and before training.

    Returns:
        The content of results.json.

    Raises:
        UserError: a setting is illegal, files are damaged, the folder belongs to another run or
            is in use, or memory runs out. Files of an earlier run are kept.

    Example:
        >>> config = Config.for_run("ml-100k", "lightgcn", epochs=5)
        >>> results = train_and_evaluate(config, Workspace(run_name="short"))
        >>> results["test"]["recall@20"]
    """
    if interactions is None:
        interactions = datasets.load(config, workspace.data_dir)
        cache = Path(workspace.data_dir) / config.dataset
    folder = RunFolder(workspace.run_folder(config))
    settings = config.to_json() | {"data_checksum": interactions.checksum}
    with folder.claim(settings, workspace.overwrite, complete):
        results = folder.read_results()
        try:
            if before is not None:
                before(folder)
            if results is None:
                results = run(config, interactions, folder, cache)
            else:
                print(f"{folder.path} is finished; --overwrite would run it again.")
        except (MemoryError, RuntimeError, tf.errors.OpError) as error:
            if not is_out_of_memory(error):
                raise
            raise UserError(out_of_memory()) from error
    print(table(results, folder))
    return results


def run(
    config: Config, interactions: Interactions, folder: RunFolder, cache: Path | None
) -> dict[str, Any]:
    """Train from the last checkpoint, if any, then test, and write and return the results."""
    print(interactions.summary())
    for sentence in caveats(interactions, config.ks, depth=config.ranking_depth):
        print(sentence)
    found = cold_start(interactions)
    if found["test"].items:
        print(sentences(found)[1])
    model, pipeline, candidate_sets = build(config, interactions, cache)
    print(candidate_sets.summary(config.num_candidates))

    epoch = tf.Variable(0, dtype=tf.int64)
    # TensorFlow does not track weights that a Keras layer holds in a list: list all of them.
    checkpoint = tf.train.Checkpoint(
        model=model, weights=model.weights, optimizer=model.optimizer, epoch=epoch
    )
    checkpoints = tf.train.CheckpointManager(checkpoint, folder.checkpoint, max_to_keep=1)
    if checkpoints.latest_checkpoint:
        with reading(folder.checkpoint):
            checkpoint.restore(checkpoints.latest_checkpoint).assert_existing_objects_matched()
        print(f"resuming after epoch {epoch.numpy()}")
    done = int(epoch.numpy())
    rows = folder.rewind(done)

    metric = config.selection_metric
    if done < config.epochs and not out_of_patience(rows, config.patience, metric):
        validate = validation(config, model, interactions)
        end = EpochEnd(
            folder,
            checkpoints,
            epoch,
            validate,
            eval_every=config.eval_every,
            patience=config.patience,
            metric=metric,
        )
        candidate_sets.prepare(done)
        model.fit(
            pipeline.batches(first_epoch=done),
            steps_per_epoch=pipeline.steps_per_epoch,
            initial_epoch=done,
            epochs=config.epochs,
            callbacks=[
                Refresh(candidate_sets, model, config.table_steps),
                end,
                Progress(end.rows, model.sampler.statistics, metric),
            ],
            shuffle=False,
            verbose=0,
        )
    return finish(config, interactions, model, candidate_sets.region, folder)
