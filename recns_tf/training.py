"""The whole loop: data, region, model, training, test, and what is left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recns_tf import catalog, datasets, ranking
from recns_tf.callbacks import EpochEnd, Refresh, best_row, out_of_patience
from recns_tf.config import DEFAULTS, Config, Workspace
from recns_tf.errors import UserError
from recns_tf.files import atomic, write_json
from recns_tf.interactions import Interactions
from recns_tf.paper import published
from recns_tf.pipeline import Pipeline
from recns_tf.plots import plot_curves
from recns_tf.progress import Progress
from recns_tf.provenance import git_commit, versions
from recns_tf.region_sets import RegionSets
from recns_tf.regions import Region, build_region
from recns_tf.run_folder import Row, RunFolder, metric_lines, reading
from recns_tf.sampled_rec import SampledRec
from recns_tf.samplers.base import Surroundings
from recns_tf.sampling_report import NAMES, SamplingReport

PARTS = {"valid": "validation", "test": "test"}
"""The held-out parts of a dataset, in words."""


def train_and_evaluate(
    config: Config,
    workspace: Workspace,
    interactions: Interactions | None = None,
    cache: Path | None = None,
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
    with folder.claim(settings, workspace.overwrite, DEFAULTS):
        results = folder.read_results()
        try:
            if workspace.profile:
                # It reads TensorFlow's traces by a module that is not promised to stay.
                from recns_tf import profiling

                profiling.show(config, interactions, folder.profile, cache)
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


def build(
    config: Config, interactions: Interactions, cache: Path | None = None
) -> tuple[SampledRec, Pipeline, RegionSets]:
    """Return the compiled model, its batches, and the region they are drawn from.

    Args:
        config: every setting.
        interactions: the dataset.
        cache: folder to keep the region in, if any.
    """
    encoder_class = catalog.find(catalog.ENCODERS, "encoder", config.encoder).load()
    sampler_class = catalog.find(catalog.SAMPLERS, "sampler", config.sampler).load()
    loss = catalog.find(catalog.LOSSES, "loss", config.loss).load()
    if config.num_candidates > interactions.num_items:
        raise UserError(
            f"--num_candidates={config.num_candidates}: choose at most "
            f"{interactions.num_items}, the number of items."
        )
    kind = sampler_class.default_region if config.region == "auto" else config.region
    region = RegionSets(
        build_region(
            interactions.train,
            kind,
            config.khop,
            config.region_reading,
            memory=config.region_memory,
            cache=cache,
        ),
        pool_size=config.pool_size,
        pool_epochs=config.pool_epochs,
        seed=config.seed,
    )
    if region.pool is not None and config.pool_size < config.num_candidates:
        raise UserError(
            f"--pool_size={config.pool_size}: choose at least {config.num_candidates}, "
            "--num_candidates."
        )
    pipeline = Pipeline(
        interactions,
        region.sets,
        batch_size=config.batch_size,
        num_candidates=config.num_candidates,
        seed=config.seed,
        with_candidates=sampler_class.uses_candidates,
        with_exposed=sampler_class.uses_exposed,
        pair_sampling=config.pair_sampling,
    )
    encoder = encoder_class.from_config(config, interactions)
    previous = encoder_class.from_config(config, interactions) if config.stale_scores else None
    around = Surroundings(interactions, region.sets, encoder.width)
    model = SampledRec(
        encoder,
        sampler_class.from_config(config, around),
        loss,
        config.margin,
        config.l2,
        SamplingReport(interactions),
        penalty=encoder.whole_penalty if config.l2_scope == "all" else encoder.penalty,
        previous=previous,
    )
    adam = keras.optimizers.Adam(
        config.learning_rate,
        epsilon=config.adam_epsilon,
        clipvalue=config.gradient_clip or None,
    )
    model.compile(optimizer=adam, jit_compile=False)
    model.optimizer.build(model.encoder.trainable_variables)
    model.refresh()
    return model, pipeline, region


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


def measure(
    config: Config,
    embeddings: tuple[NDArray[np.float32], NDArray[np.float32]],
    interactions: Interactions,
    part: str,
) -> Row:
    """Return the metrics on "valid" or "test", all that came before it being seen.

    Args:
        config: how to rank.
        embeddings: to rank with, [U, d] and [I, d].
        interactions: the dataset.
        part: of it.
    """
    return ranking.evaluate(
        *embeddings,
        getattr(interactions, part),
        interactions.seen(part),
        ranker=config.ranker,
        depth=config.ranking_depth,
    )


def validation(
    config: Config, model: SampledRec, interactions: Interactions
) -> Callable[[], Row] | None:
    """Return what measures the part of the data that early stopping looks at, None if empty."""
    part = config.validate_on
    if part == "test":
        print("--validate_on=test: the test metrics will be those of the epoch that is best on it.")
    if not getattr(interactions, part).nnz:
        print(f"no {PARTS[part]} positives: training ends at --epochs, the last epoch is kept.")
        return None
    return lambda: measure(config, model.encoder.embeddings(), interactions, part)


def finish(
    config: Config,
    interactions: Interactions,
    model: SampledRec,
    region: Region,
    folder: RunFolder,
) -> dict[str, Any]:
    """Restore the best weights, test them once, and write all that a run leaves behind."""
    rows = folder.rows()
    best = best_row(rows)
    assert best is not None, "a run has at least one epoch"
    with reading(folder.best_weights):
        model.load_weights(folder.best_weights)
    embeddings = model.encoder.embeddings()
    for name, array in (
        ("user", embeddings[0]),
        ("item", embeddings[1]),
        ("user_ids", interactions.user_ids),
        ("item_ids", interactions.item_ids),
    ):
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
        "negatives": {name: best[name] for name in NAMES},
        "region": region.describe(config.num_candidates),
        "config": config.to_json(),
        "data": {"checksum": interactions.checksum, "source": interactions.source},
        "versions": versions(),
        "git_commit": git_commit(),
    }
    write_json(folder.results, results)
    return results


def table(results: dict[str, Any], folder: RunFolder) -> str:
    """Return the closing table of a run for the screen."""
    head = " ".join(f"{results[key]}" for key in ("dataset", "encoder", "sampler"))
    lines = [
        "",
        f"{head}, seed {results['seed']}: "
        f"best epoch {results['best_epoch']} of {results['epochs_run']}",
        *metric_lines({name: results[name] for name in ("valid", "test", "paper")}),
        f"{results['seconds_per_epoch']:.2f} s an epoch, "
        f"{results['training_seconds']:.0f} s of training",
        f"{folder.path}/: results.json metrics.jsonl curves.png embeddings/ best/ config.json",
    ]
    return "\n".join(lines)
