"""A complete run: data, region, model, training, test and output files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import keras

from recns_tf import datasets, registry
from recns_tf.config.config import Config, Workspace, complete
from recns_tf.config.logs import LogSettings
from recns_tf.datasets.cold_start import cold_start, sentences
from recns_tf.encoders.columns import Columns, columns_of
from recns_tf.encoders.rows import rows_of
from recns_tf.errors import UserError
from recns_tf.evaluation.part_metrics import caveats
from recns_tf.interactions import Interactions
from recns_tf.ops.workers import VARIABLE, explaining_lost_workers, read_task
from recns_tf.regions.candidate_sets import CandidateSets
from recns_tf.regions.region import Region
from recns_tf.runs.files import ANEW
from recns_tf.runs.folder import RunFolder
from recns_tf.samplers.parts import Parts
from recns_tf.training import strategies, warm_start
from recns_tf.training.assembly import (
    Agree,
    Collect,
    Division,
    Follow,
    agree_on_start,
    shared_state,
)
from recns_tf.training.build import build, make_model
from recns_tf.training.callbacks import EpochEnd, Refresh, bytes_per_epoch, out_of_patience
from recns_tf.training.checkpoints import Checkpoints
from recns_tf.training.experiment_logs import callbacks_for
from recns_tf.training.pipeline import Pipeline
from recns_tf.training.progress import Progress
from recns_tf.training.results import finish, table, validation
from recns_tf.training.sampled_rec import SampledRec
from recns_tf.training.shared_ranking import shared_ranking
from recns_tf.utils.damage import reading
from recns_tf.utils.failures import explained, require_space
from recns_tf.utils.memory import ADVICE
from recns_tf.utils.quiet import silenced_stdout


def train_and_evaluate(
    config: Config,
    workspace: Workspace,
    interactions: Interactions | None = None,
    cache: Path | None = None,
    before: Callable[[RunFolder], None] | None = None,
    *,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    log_settings: LogSettings | None = None,
    quiet: bool = False,
    keep_data: bool = False,
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
        callbacks: further Keras callbacks, called after those of the run. At the end of an epoch,
            `logs` has what metrics.jsonl has, with validation metrics as val_recall@20.
        log_settings: which other programs to report to; None for none.
        quiet: whether to print nothing.
        keep_data: whether to store the dataset in the run's folder; needed for one that no folder
            of datasets has.

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
    division = join(config)
    if interactions is None:
        interactions = datasets.load(config, workspace.data_dir)
        cache = Path(workspace.data_dir) / config.dataset
    if division is not None and not division.group.is_chief:
        with silenced_stdout(), explained(advice=ADVICE), explaining_lost_workers():
            follow(config, interactions, cache, division)
            # The chief tests the model now; to TensorFlow, a worker that ends before is a lost one.
            division.group.wait()
        return {}
    strategy = config.strategy
    if strategy in registry.OVER_WORKERS:
        Parts.load(config).check(config)
        # The numbers are those of one worker, which goes on from them as well.
        config = dataclasses.replace(config, strategy="none")
    folder = RunFolder(workspace.run_folder(config))
    settings = config.to_json() | strategies.recorded(config.strategy)
    settings |= warm_start.recorded(config, folder)
    settings["data_checksum"] = interactions.checksum
    with silenced_stdout() if quiet else nullcontext():
        with folder.claim(settings, workspace.overwrite, complete):
            results = folder.read_results()
            lost = nullcontext() if division is None else explaining_lost_workers()
            with explained(folder=folder.path, advice=ADVICE), lost:
                logs = callbacks_for(log_settings or LogSettings(), folder, config)
                if before is not None:
                    before(folder)
                if results is None:
                    further = (*logs, *callbacks)
                    model, region = run(
                        config, interactions, folder, cache, further, quiet, division
                    )
                    results = finish(
                        config, interactions, model, region, folder, strategy, keep_data
                    )
                else:
                    if division is not None:
                        agree_on_start(division, config, interactions, config.epochs)
                    print(f"{folder.path} is finished; --overwrite would run it again.")
                if division is not None:
                    division.group.wait()
                for log in logs:
                    log.finish(results)
        print(table(results, folder))
    return results


def run(
    config: Config,
    interactions: Interactions,
    folder: RunFolder,
    cache: Path | None,
    callbacks: Sequence[keras.callbacks.Callback],
    quiet: bool,
    division: Division | None = None,
) -> tuple[SampledRec, Region]:
    """Train from the last checkpoint, if any, and return the model and the region.

    With several workers this is the chief's part, and the model is the whole one.
    """
    print(interactions.summary())
    for sentence in caveats(interactions, config.ks, depth=config.ranking_depth):
        print(sentence)
    found = cold_start(interactions)
    if found["test"].items:
        print(sentences(found)[1])
    divided = config
    if division is not None:
        divided = dataclasses.replace(config, strategy=division.strategy)
    part, pipeline, candidate_sets = build(divided, interactions, cache)
    model, assembly = part, None
    if isinstance(division, Columns):
        model = make_model(config, Parts.load(config), interactions, candidate_sets.sets, cache)
    if division is not None:
        print(f"each of {division.group.count} workers {division.does}")
    print(candidate_sets.summary(config.num_candidates))
    if model.strategy.num_replicas_in_sync > 1:
        print(f"each of {model.strategy.num_replicas_in_sync} devices trains on its share of pairs")

    checkpoints = Checkpoints(folder, model)
    if folder.replacing is None and checkpoints.restore():
        print(f"resuming after epoch {checkpoints.epoch.numpy()}")
    elif config.init_from:
        print(warm_start.warm_start(model, interactions, config))
        if seen := warm_start.trained_on(interactions, config, cache.parent if cache else Path()):
            print(seen)
    done = int(checkpoints.epoch.numpy())
    rows = folder.rewind(done)

    metric = config.selection_metric
    with reading(folder.metrics, ANEW):
        stopped = out_of_patience(rows, config.patience, metric)
    goes_on = done < config.epochs and not stopped
    if division is not None:
        agree_on_start(division, config, interactions, done if goes_on else config.epochs)
    if goes_on:
        embeddings, rank = model.encoder.embeddings, None
        if division is not None:
            assembly = shared_state(division, part, model)
            assembly.distribute()
            embeddings, rank = assembly.embeddings, shared_ranking(division.group)
        validate = validation(config, embeddings, interactions, rank)
        end = EpochEnd(
            folder,
            checkpoints,
            validate,
            is_validated=config.is_validated,
            patience=config.patience,
            metric=metric,
            keep=config.keep,
            saved=model,
        )
        require_space(folder.path, bytes_per_epoch(model), "an epoch")
        shown = Progress(end.rows, model.sampler.statistics, metric, quiet)
        at_ends = [end] if assembly is None else [Collect(assembly), end, Agree(assembly)]
        refresh = Refresh(candidate_sets, part, config.table_steps)
        fit(part, pipeline, candidate_sets, done, config, [refresh, *at_ends, shown, *callbacks])
    return model, candidate_sets.region


def fit(
    model: SampledRec,
    pipeline: Pipeline,
    candidate_sets: CandidateSets,
    done: int,
    config: Config,
    callbacks: Sequence[keras.callbacks.Callback],
) -> None:
    """Train a model from epoch `done` on, counted from 0."""
    candidate_sets.prepare(done)
    model.fit(
        pipeline.batches(first_epoch=done),
        steps_per_epoch=pipeline.steps_per_epoch,
        initial_epoch=done,
        epochs=config.epochs,
        callbacks=list(callbacks),
        shuffle=False,
        verbose=0,
    )


def join(config: Config) -> Division | None:
    """Return this worker's part in training; None for a single process.

    Raises:
        UserError: TF_CONFIG is not right, or names several workers but --strategy none of them.
    """
    if config.strategy in registry.OVER_WORKERS:
        return columns_of(config) or rows_of(config)
    count = len(read_task(os.environ.get(VARIABLE, "")).addresses)
    if count > 1:
        raise UserError(
            f"the environment variable {VARIABLE} names {count} workers, but --strategy="
            f"{config.strategy} trains in one process: choose --strategy="
            f"{' or '.join(registry.OVER_WORKERS)}, or unset it."
        )
    return None


def follow(
    config: Config, interactions: Interactions, cache: Path | None, division: Division
) -> None:
    """Train as a worker that is not the chief: its part of the work, and without files."""
    part, pipeline, candidate_sets = build(config, interactions, cache)
    done = agree_on_start(division, config, interactions, 0)
    if done >= config.epochs:
        return
    assembly = shared_state(division, part, None)
    assembly.distribute()
    rank = shared_ranking(division.group)
    validate = validation(config, assembly.embeddings, interactions, rank)
    callbacks = [
        Refresh(candidate_sets, part, config.table_steps),
        Collect(assembly),
        Follow(validate, config.is_validated),
        Agree(assembly),
    ]
    fit(part, pipeline, candidate_sets, done, config, callbacks)


def profiler(
    config: Config, interactions: Interactions, cache: Path | None
) -> Callable[[RunFolder], None]:
    """Return what profiles a run before training: the argument `before` of train_and_evaluate."""
    # It reads TensorFlow's traces through a module that TensorFlow does not promise to keep.
    from recns_tf.training import profiling

    return partial(profiling.show, config, interactions, cache)
