"""Start training from the weights of a finished run, such as that of yesterday's log.

The rows of users and items are matched by their ids, and all other weights of the encoder are
taken as they are. A user or item that the run did not know gets the row that `Encoder.first_rows`
computes from its neighbors that the run did know. The sampler starts anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions, is_among, keys_of, to_pairs
from recns_tf.runs.data import data_of_run
from recns_tf.runs.files import ANEW
from recns_tf.runs.folder import RunFolder
from recns_tf.runs.recommendations import read_array
from recns_tf.training.sampled_rec import SampledRec
from recns_tf.utils.damage import reading
from recns_tf.utils.files import sha256
from recns_tf.utils.text import count

SIDES = ("user", "item")


class Saved(NamedTuple):
    """What a finished run keeps of its encoder.

    Attributes:
        weights: in the order of `Encoder.trainable_variables`; the first has a row per node.
        moments: of Adam, first and second, of each weight.
        steps: number of steps that Adam has taken.
        ids: of the users and of the items.
    """

    weights: list[NDArray[np.float32]]
    moments: list[tuple[NDArray[np.float32], NDArray[np.float32]]]
    steps: int
    ids: list[NDArray[Any]]


def recorded(config: Config, folder: RunFolder) -> dict[str, Any]:
    """Return what config.json says of the weights that training starts from.

    Args:
        config: the settings of the run.
        folder: its folder.

    Returns:
        The SHA-256 of the weights of --init_from, so that a run is not resumed from others;
        nothing without this flag.

    Raises:
        UserError: the folder of --init_from is not that of a finished run with embeddings.
    """
    if not config.init_from:
        return {}
    earlier = RunFolder(Path(config.init_from))
    if earlier.path.resolve() == folder.path.resolve():
        raise UserError(f"--init_from={config.init_from} is this run: choose another --run_name.")
    if not earlier.best_weights.exists() or earlier.read_results() is None:
        raise UserError(
            f"--init_from={config.init_from} is not the folder of a finished run of an encoder."
        )
    return {"init_checksum": sha256(earlier.best_weights)}


def warm_start(model: SampledRec, interactions: Interactions, config: Config) -> str:
    """Set the weights of a model to those of the run --init_from, and return a summary.

    Args:
        model: the compiled model.
        interactions: its dataset.
        config: its settings.

    Raises:
        UserError: the run has other weights, or no id in common with the dataset, or one of its
            files is damaged.
    """
    encoder = model.encoder
    saved = read(Path(config.init_from), len(encoder.trainable_variables))
    ids = [interactions.user_ids, interactions.item_ids]
    known = [places(now, before) for now, before in zip(ids, saved.ids, strict=True)]
    check(saved, known, model, config)
    users, items = map(len, saved.ids)
    # A row after those of the items, which PinSage may have, stands for no node.
    spare = np.arange(users + items, len(saved.weights[0]))
    rows = np.concatenate([known[0], np.where(known[1] < 0, -1, known[1] + users), spare])
    nodes = taken(saved.weights[0], rows)
    tables = saved.weights[0][:users], saved.weights[0][users : users + items]
    for side, clicks in enumerate((interactions.train, csr_array(interactions.train.T))):
        other = 1 - side
        new = np.flatnonzero(known[side] < 0)
        neighbors = restricted(csr_array(clicks[new]), known[other], len(tables[other]))
        place = new + side * interactions.num_users
        nodes[place] = encoder.first_rows(tables[side], tables[other], neighbors)
    for each in filter(None, (encoder, model.previous)):
        for weight, value in zip(
            each.trainable_variables, (nodes, *saved.weights[1:]), strict=True
        ):
            weight.assign(value)
    if config.init_optimizer == "kept":
        keep_moments(model.optimizer, saved, rows)
    model.refresh()
    found = " and ".join(
        f"{np.sum(place >= 0):,} of {count(len(place), side)}"
        for place, side in zip(known, SIDES, strict=True)
    )
    return f"weights of {found} from {config.init_from}; the others start from their neighbors"


def read(folder: Path, number: int) -> Saved:
    """Return what a finished run keeps of its encoder.

    Args:
        folder: the run's folder.
        number: of the weights of the encoder.

    Raises:
        UserError: it has another number of weights, or a file is damaged or was changed.
    """
    run = RunFolder(folder)
    ids = [read_array(run, run.embeddings / f"{side}_ids.npy", "iuU") for side in SIDES]
    run.manifest.verify(run.best_weights)
    with reading(run.best_weights, ANEW), h5py.File(run.best_weights) as file:
        weights = in_order(file["encoder/vars"])
        # Keras stores the number of steps, the step size, and then both moments of each weight.
        steps, _, *moments = in_order(file["optimizer/vars"])
    if len(weights) != number:
        raise UserError(different(folder, f"{count(len(weights), 'weight')} instead of {number}"))
    pairs = list(zip(moments[0::2], moments[1::2], strict=True))[:number]
    return Saved(weights, pairs, int(steps), ids)


def trained_on(interactions: Interactions, config: Config, data_dir: Path) -> str:
    """Return a sentence on the held-out positives that the run --init_from was trained on.

    With a random split that is drawn anew, train positives of yesterday are held out today, and the
    metrics are too high.

    Args:
        interactions: the dataset.
        config: the settings of the run.
        data_dir: folder of the datasets.

    Returns:
        The sentence; empty if there are none.
    """
    run = RunFolder(Path(config.init_from))
    try:
        earlier = data_of_run(run, data_dir)
    except UserError as error:
        return f"not known whether {run.path} was trained on valid or test positives: {error}"
    held_out = to_pairs(interactions.held_out)
    moved = np.stack(
        [
            places(ids, before)[numbers]
            for ids, before, numbers in (
                (interactions.user_ids, earlier.user_ids, held_out[:, 0]),
                (interactions.item_ids, earlier.item_ids, held_out[:, 1]),
            )
        ],
        axis=1,
    )
    moved = moved[(moved >= 0).all(axis=1)]
    keys = moved[:, 0] * earlier.num_items + moved[:, 1]
    number = int(is_among(keys, keys_of(earlier.train)).sum())
    if not number:
        return ""
    return (
        f"{run.path} was trained on {number:,} of the {len(held_out):,} valid and test positives, "
        "so that the metrics are too high; --split=global-temporal for both avoids it."
    )


def in_order(group: h5py.Group) -> list[NDArray[Any]]:
    """Return the arrays of a group that Keras numbered from 0."""
    return [np.asarray(group[str(place)]) for place in range(len(group))]


def different(folder: Path | str, what: str) -> str:
    """Return the sentence on a run whose encoder is another one."""
    return (
        f"--init_from={folder} has {what}: choose the encoder of that run, and its settings such "
        "as --dim and --num_layers."
    )


def check(saved: Saved, known: list[NDArray[np.int64]], model: SampledRec, config: Config) -> None:
    """Raise UserError if the weights do not fit the model, or no id is known."""
    wanted = model.encoder.trainable_variables
    spare = len(saved.weights[0]) - sum(map(len, saved.ids))
    rows = sum(map(len, known)) + spare
    shapes = [(rows, *saved.weights[0].shape[1:]), *(each.shape for each in saved.weights[1:])]
    for weight, shape in zip(wanted, shapes, strict=True):
        if tuple(weight.shape) != tuple(shape):
            problem = f"weights '{weight.name}' of shape {shape} instead of {tuple(weight.shape)}"
            raise UserError(different(config.init_from, problem))
    if not any((places >= 0).any() for places in known):
        raise UserError(
            f"--init_from={config.init_from}: none of its users and items is in {config.dataset}."
        )


def places(ids: NDArray[Any], before: NDArray[Any]) -> NDArray[np.int64]:
    """Return the place of each id among earlier ones, or -1: int64 [len(ids)]."""
    numbers = {each: number for number, each in enumerate(before.tolist())}
    return np.array([numbers.get(each, -1) for each in ids.tolist()], dtype=np.int64)


def taken(table: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return rows of a table, and zeros for -1."""
    return np.where(rows[:, None] < 0, np.float32(0), table[rows])


def restricted(clicks: csr_array, known: NDArray[np.int64], width: int) -> csr_array:
    """Return the columns that an earlier run knew, in its order.

    Args:
        clicks: boolean CSR array [n, columns].
        known: of each column, its place in the earlier run, or -1.
        width: number of columns there.
    """
    here = np.flatnonzero(known >= 0)
    shape = (clicks.shape[1], width)
    moved = csr_array((np.ones(len(here), np.float32), (here, known[here])), shape=shape)
    return csr_array((clicks.astype(np.float32) @ moved).astype(bool))


def keep_moments(adam: Any, saved: Saved, rows: NDArray[np.int64]) -> None:
    """Set the moments and the number of steps of Adam; rows without an earlier one have none."""
    adam.iterations.assign(saved.steps)
    for place, moments in enumerate(saved.moments):
        for variables, value in zip((adam._momentums, adam._velocities), moments, strict=True):
            variables[place].assign(value if place else taken(value, rows))
