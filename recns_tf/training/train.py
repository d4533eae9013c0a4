"""The whole loop: data, region, model, training, test, and what is left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from recns_tf import datasets
from recns_tf.config.config import Config, Workspace, complete
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.runs.folder import RunFolder, reading
from recns_tf.training.build import build
from recns_tf.training.callbacks import EpochEnd, Refresh, out_of_patience
from recns_tf.training.progress import Progress
from recns_tf.training.results import finish, table, validation


def train_and_evaluate(
    config: Config,
    workspace: Workspace,
    interactions: Interactions | None = None,
    cache: Path | None = None,
    before: Callable[[RunFolder], None] | None = None,
) -> dict[str, Any]:
    """Train a model, test it once, and leave the run's folder behind.

    A run of the same name and settings that was interrupted is resumed, to the same numbers;
    one that is finished is shown again.

    Args:
        config: every setting of the result.
        workspace: where to read and write.
        interactions: the dataset; that of the catalogue called config.dataset, if None.
        cache: folder to keep the region in; nowhere if None, but that of a dataset of the
            catalogue.
        before: called with the run's folder, once it is locked, before training.

    Returns:
        The content of results.json.

    Raises:
        UserError: as told in its sentence; nothing of an earlier run is lost.
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
        except tf.errors.ResourceExhaustedError as error:
            raise UserError(
                "out of memory: choose a smaller --dim, --batch_size or --num_candidates."
            ) from error
    print(table(results, folder))
    return results


def run(
    config: Config, interactions: Interactions, folder: RunFolder, cache: Path | None
) -> dict[str, Any]:
    """Train from the last checkpoint, if any, to the end; test; write and return the results."""
    print(interactions.summary())
    model, pipeline, region_sets = build(config, interactions, cache)
    print(region_sets.summary(config.num_candidates))

    epoch = tf.Variable(0, dtype=tf.int64)
    # TensorFlow overlooks the weights that a Keras layer holds in a list: they are named too.
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

    if done < config.epochs and not out_of_patience(rows, config.patience):
        validate = validation(config, model, interactions)
        end = EpochEnd(
            folder,
            checkpoints,
            epoch,
            validate,
            eval_every=config.eval_every,
            patience=config.patience,
        )
        region_sets.prepare(done)
        model.fit(
            pipeline.batches(first_epoch=done),
            steps_per_epoch=pipeline.steps_per_epoch,
            initial_epoch=done,
            epochs=config.epochs,
            callbacks=[
                Refresh(region_sets, model, config.table_steps),
                end,
                Progress(end.rows, model.sampler.statistics),
            ],
            shuffle=False,
            verbose=0,
        )
    return finish(config, interactions, model, region_sets.region, folder)
