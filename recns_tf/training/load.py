"""Load the model of a finished run, or a saved one: for embeddings, new users, more training."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import keras

from recns_tf import datasets, registry
from recns_tf.config.config import Config
from recns_tf.config.custom_parts import refuse_custom
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.regions.candidate_sets import CandidateSets
from recns_tf.runs.data import data_of_run
from recns_tf.runs.files import ANEW
from recns_tf.runs.folder import RunFolder
from recns_tf.training.build import build
from recns_tf.training.pipeline import Pipeline
from recns_tf.training.sampled_rec import SampledRec
from recns_tf.utils.damage import reading


class Restored(NamedTuple):
    """A finished run as it was trained.

    Attributes:
        model: the model, with the weights that the run kept.
        pipeline: its batches.
        region: the region that they are drawn from.
        interactions: its data.
    """

    model: SampledRec
    pipeline: Pipeline
    region: CandidateSets
    interactions: Interactions


def load(
    run: str | Path,
    data_dir: str | Path = "data",
    interactions: Interactions | None = None,
    *,
    allow_custom: bool = False,
) -> tuple[SampledRec, Interactions]:
    """Return the model of a run with the weights that it kept, and its data.

    Args:
        run: the run's folder, such as runs/ml-100k-pinsage-recns.
        data_dir: folder of the datasets.
        interactions: the run's data; if None, those in its folder, or loaded from `data_dir`.
        allow_custom: whether to import parts that the run names as module:object. Their code
            runs, so set it only for a run that you trust.

    Raises:
        UserError: the folder holds no run with weights, the run names a part as
            module:object, a file is damaged or was changed, or the data are not those that the run
            was trained on.

    Example:
        >>> model, data = load("runs/ml-100k-lightgcn-recns")
        >>> users, items = model.encoder.embeddings()
    """
    found = restore(run, data_dir, interactions, allow_custom=allow_custom)
    return found.model, found.interactions


def restore(
    run: str | Path,
    data_dir: str | Path = "data",
    interactions: Interactions | None = None,
    *,
    allow_custom: bool = False,
) -> Restored:
    """Return a run as it was trained: with its batches and its region; see `load`."""
    folder = RunFolder(Path(run))
    if not folder.config.exists():
        raise UserError(f"{run} is not the folder of a run: choose a folder such as runs/NAME.")
    settings = folder.read_config()
    with reading(folder.config, ANEW):
        checksum = settings["data_checksum"]
        config = Config.from_json(settings)
    if not allow_custom:
        refuse_custom(config.to_json(), folder.config, "call load with allow_custom=True")
    cache = None
    if interactions is None and folder.interactions.exists():
        interactions = data_of_run(folder)
    elif interactions is None:
        interactions = datasets.load(config, str(data_dir))
        cache = Path(data_dir) / config.dataset
    if interactions.checksum != checksum:
        raise UserError(f"{run} was trained on other data than {interactions.name} is now.")
    model, pipeline, region = build(config, interactions, cache)
    load_best_weights(model, folder)
    return Restored(model, pipeline, region, interactions)


def load_best_weights(model: SampledRec, folder: RunFolder) -> None:
    """Load the weights that a run kept.

    Raises:
        UserError: the file is missing, damaged, or was changed.
    """
    folder.manifest.verify(folder.best_weights)
    with reading(folder.best_weights, ANEW):
        model.load_weights(folder.best_weights)


def load_model(path: str | Path) -> keras.Model:
    """Return the encoder or the SampledRec that `save` wrote to a .keras archive.

    Imports the encoders, samplers and losses of this package, so that Keras knows them, and calls
    keras.saving.load_model. Import and register your own parts yourself. Load only archives that
    you trust: reading them safely is left to Keras.

    Args:
        path: the archive.

    Example:
        >>> model.encoder.save("encoder.keras")
        >>> users, items = load_model("encoder.keras").embeddings()
    """
    for entries in (registry.ENCODERS, registry.SAMPLERS, registry.LOSSES):
        for entry in entries.values():
            entry.load()
    return keras.saving.load_model(path)
