"""The functions of the library: train on your data, and load what was trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recns_tf import datasets
from recns_tf.config.config import DEFAULTS, Config, Workspace
from recns_tf.config.custom_parts import PARTS, name_of
from recns_tf.config.logs import LogSettings
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.registry import OVER_WORKERS, suggestion
from recns_tf.runs.data import NAMES, data_of_run
from recns_tf.runs.folder import RunFolder
from recns_tf.serving.recommender import Recommender
from recns_tf.utils import folders
from recns_tf.utils.damage import Damaged
from recns_tf.utils.quiet import silenced_stderr

if TYPE_CHECKING:
    import keras

WORKSPACE = tuple(field.name for field in dataclasses.fields(Workspace))
LOGS = tuple(field.name for field in dataclasses.fields(LogSettings))


def train(
    data: Interactions | str,
    encoder: str | type = "lightgcn",
    sampler: str | type = "recns",
    *,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    quiet: bool = False,
    **settings: Any,
) -> Recommender:
    """Train a model, test it once, and return it.

    The run is written to runs/NAME-ENCODER-SAMPLER, where NAME is that of the data. If it is there
    already with the same settings and data, it is read, or resumed if it was interrupted. Settings
    name a class of your own, but do not hold its code: pass overwrite=True if you changed it.

    Args:
        data: the dataset, or the name of a built-in or prepared one.
        encoder: name of an encoder, or a class of your own.
        sampler: name of a sampler, or a class of your own.
        callbacks: Keras callbacks. The `logs` at the end of an epoch have what metrics.jsonl has.
        quiet: whether to print nothing.
        **settings: every flag of `./run.sh train` by its name, such as `epochs`, `dim`, `loss` or
            `run_name`, with the same default and check. A list may stand for text with commas.

    Raises:
        UserError: a setting is unknown or illegal, or as in train_and_evaluate.

    Example:
        >>> data = Interactions.from_frame(clicks, user="user", item="item", quiet=True)
        >>> model = train(data, encoder="lightgcn", sampler="dns", epochs=2, quiet=True)
        >>> frame = model.recommend(["u7", "u9"], k=10)
    """
    settings = {"encoder": encoder, "sampler": sampler} | settings
    places = {name: settings.pop(name) for name in WORKSPACE if name in settings}
    log_settings = LogSettings(**{name: settings.pop(name) for name in LOGS if name in settings})
    log_settings.require_packages()
    profile = settings.pop("profile", False)
    made_in_memory = isinstance(data, Interactions)
    if not made_in_memory and not isinstance(data, str):
        raise UserError(
            f"{type(data).__name__} is not a dataset: make one with Interactions.from_frame, or "
            "give the name of one."
        )
    for name in settings:
        if name not in DEFAULTS or name == "dataset":
            legal = [*DEFAULTS, *WORKSPACE, *LOGS, "profile", "callbacks", "quiet"]
            raise UserError(
                f"train has no argument '{name}': its arguments are the flags that "
                f"'./run.sh train --help' lists.{suggestion(name, legal)}"
            )
        if name in NAMES and made_in_memory:
            raise UserError(f"{name} is a setting of the data: give it where they are made.")
    chosen = {name: to_setting(name, value) for name, value in settings.items()}
    dataset = data.name if isinstance(data, Interactions) else data
    config = Config.for_run(dataset, chosen.pop("encoder"), **chosen)
    if config.strategy in OVER_WORKERS:
        raise UserError(
            f"strategy='{config.strategy}' needs several processes: './run.sh launch' starts them."
        )
    workspace = Workspace(**places)
    cache = None
    if isinstance(data, Interactions):
        interactions = data
    else:
        interactions = datasets.load(config, workspace.data_dir)
        cache = Path(workspace.data_dir) / dataset
    with silenced_stderr():
        from recns_tf.training.train import profiler, train_and_evaluate
    train_and_evaluate(
        config,
        workspace,
        interactions,
        cache,
        profiler(config, interactions, cache) if profile else None,
        callbacks=callbacks,
        log_settings=log_settings,
        quiet=quiet,
        keep_data=made_in_memory,
    )
    return Recommender(RunFolder(workspace.run_folder(config)), interactions)


def to_setting(name: str, value: Any) -> Any:
    """Return an argument of `train` as the value of a setting.

    A class or a function becomes its name, a path text, a list of numbers text with commas, and
    numbers of NumPy become those of Python.
    """
    default = DEFAULTS[name]
    if isinstance(value, Path):
        return str(value)
    if name in PARTS and not isinstance(value, str):
        return name_of(name, value)
    if isinstance(default, str) and isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    if isinstance(default, bool) or isinstance(value, bool):
        return value
    if isinstance(default, float) and isinstance(value, Real):
        return float(value)
    return int(value) if isinstance(value, Integral) else value


def load(
    run: str | Path,
    *,
    data: Interactions | None = None,
    data_dir: str | Path = "data",
    frames: str | None = None,
    stored_ids: bool = False,
) -> Recommender:
    """Return a finished run: one of `train`, of the command line, or saved by Recommender.save.

    Args:
        run: the run's folder, such as runs/ml-100k-lightgcn-recns.
        data: the run's dataset; if None, that in its folder or the one in `data_dir`.
        data_dir: folder of the datasets.
        frames: the library of the results: pandas, polars, pyarrow or dict. None takes that of the
            frame that the data came in, PyArrow if they came from files.
        stored_ids: whether ids are those that the run stores, integers or text, rather than those
            of the frame that the data came in.

    Raises:
        UserError: the folder holds no finished run, its data are missing, or a file is damaged or
            was changed.

    Example:
        >>> model = load("runs/ml-100k-lightgcn-recns")
        >>> frame = model.similar_items([50], k=5)
    """
    path = Path(run)
    folders.restore(path)
    folder = RunFolder(path)
    if not folder.config.exists():
        raise UserError(f"{run} is not the folder of a run: choose a folder such as runs/NAME.")
    if data is None:
        try:
            data = data_of_run(folder, data_dir)
        except Damaged:
            raise
        except UserError as error:
            raise UserError(f"{run} needs the data that it was trained on: {error}") from error
    return Recommender(folder, data, frames, stored_ids)
