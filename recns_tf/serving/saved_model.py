"""Recommendations of a finished run as a TensorFlow SavedModel, which needs TensorFlow alone.

The model contains the embeddings, the original ids, the items that each user has seen, and what
embeds new users. `signatures` of `SavedRecommender` lists what it answers. Its lists are those of
`evaluation/scored_lists.py`: a score is computed in float64 and rounded to float32, and items of
equal score are in the order of their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recns_tf.config.custom_parts import refuse_custom
from recns_tf.encoders.new_nodes import NewNodes, constant
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.runs.folder import RunFolder
from recns_tf.runs.recommendations import read_embeddings
from recns_tf.training.load import load
from recns_tf.utils import folders
from recns_tf.utils.failures import require_space

NO_ID: dict[str, Any] = {"integer": -1, "text": ""}
"""The id that pads lists and histories, by the kind of the items' ids."""

LARGEST_IDS = 1_500_000_000
"""Bytes of ids in a model. TensorFlow limits a graph, which holds them, to 2 GB."""

UNKNOWN = -1
"""The number of an id that the model does not know."""

SLACK_BYTES = 10_000_000
"""Size of a model without its tables and ids, at most."""


class IdTable(tf.Module):
    """Turns ids of users or items into their numbers.

    Args:
        ids: integers or text, [n], in the order of the numbers.
        what: "user" or "item", for messages.

    Raises:
        UserError: an integer does not fit into int64.
    """

    def __init__(self, ids: NDArray[Any], what: str):
        super().__init__()
        self.what = what
        self.values = stored(ids, what)
        self.nothing = NO_ID["integer" if self.values.dtype == tf.int64 else "text"]
        numbers = tf.range(len(ids), dtype=tf.int64)
        content = tf.lookup.KeyValueTensorInitializer(self.values, numbers)
        self.table = tf.lookup.StaticHashTable(content, default_value=UNKNOWN)

    @property
    def dtype(self) -> tf.DType:
        """tf.int64 or tf.string."""
        return self.values.dtype

    def numbers(self, ids: tf.Tensor) -> tf.Tensor:
        """Return the numbers of ids, int64 [n]; an unknown id is an InvalidArgumentError."""
        numbers = self.table.lookup(ids)
        unknown = tf.boolean_mask(ids, numbers == UNKNOWN)
        is_known = tf.equal(tf.size(unknown), 0)
        return checked(numbers, is_known, [f"unknown {self.what} id:", unknown[:1]])


def checked(value: tf.Tensor, holds: tf.Tensor, message: list[Any]) -> tf.Tensor:
    """Return a value, or raise InvalidArgumentError with a message unless a condition holds."""
    with tf.control_dependencies([tf.debugging.Assert(holds, message)]):
        return tf.identity(value)


def stored(ids: NDArray[Any], what: str) -> tf.Tensor:
    """Return ids as the model holds them: int64 [n], or text in UTF-8, string [n].

    Raises:
        UserError: an integer does not fit into int64.
    """
    if ids.dtype.kind not in "iu":
        return tf.constant(ids.astype(str))
    if ids.max(initial=0) > np.iinfo(np.int64).max:
        raise UserError(f"the {what} id {ids.max()} is above {np.iinfo(np.int64).max}, an int64.")
    return tf.constant(ids.astype(np.int64))


class SavedRecommender(tf.Module):
    """The content of a SavedModel.

    Args:
        data: the dataset.
        users, items: embeddings, float32 [U, d] and [I, d].
        new_users: embeds users from their histories.
        topk: k, length of the lists.

    Raises:
        UserError: an item has the id that stands for none, or the ids are too large.
    """

    def __init__(
        self,
        data: Interactions,
        users: NDArray[np.float32],
        items: NDArray[np.float32],
        new_users: NewNodes,
        topk: int,
    ):
        super().__init__()
        require_small(data)
        self.topk = topk
        self.user_ids, self.item_ids = (
            IdTable(data.user_ids, "user"),
            IdTable(data.item_ids, "item"),
        )
        nothing = self.item_ids.nothing
        if np.any(data.item_ids == nothing):
            raise UserError(
                f"{data.name} has an item with the id '{nothing}', which stands for no item in an "
                "exported model: prepare the dataset with another id for it."
            )
        self.users, self.items = constant(users), constant(items)
        # The last one is for places that no item fills.
        self.listed_ids = constant(tf.concat([self.item_ids.values, [nothing]], axis=0))
        seen = data.positives
        self.seen_starts = constant(seen.indptr.astype(np.int64))
        self.seen_items = constant(seen.indices.astype(np.int32))
        self.new_users = new_users

    def signatures(self) -> dict[str, Any]:
        """Return the functions that the model answers with, by name.

        recommend_users, which is the default: user_ids [n] -> item_ids [n, k], and scores,
            float32 [n, k]. The items that a user has in train, valid or test are left out. Places
            without an item have the id -1 or "", and the score minus infinity.
        recommend_histories: histories [n, m], item ids, rows padded with -1 or "" -> the same,
            for new users. The items of a history are left out.
        score_pairs: user_ids [n] and item_ids [n] -> scores, float32 [n].

        Ids are int64 or text, as in the dataset. An unknown id is an error that names it.
        """
        users, items = self.user_ids.dtype, self.item_ids.dtype

        def many(dtype: tf.DType, name: str, rank: int = 1) -> tf.TensorSpec:
            return tf.TensorSpec([None] * rank, dtype, name=name)

        recommend = tf.function(
            self.recommend_users, input_signature=[many(users, "user_ids")], autograph=False
        )
        return {
            "serving_default": recommend,
            "recommend_users": recommend,
            "recommend_histories": tf.function(
                self.recommend_histories,
                input_signature=[many(items, "histories", rank=2)],
                autograph=False,
            ),
            "score_pairs": tf.function(
                self.score_pairs,
                input_signature=[many(users, "user_ids"), many(items, "item_ids")],
                autograph=False,
            ),
        }

    def recommend_users(self, user_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return lists for users of the dataset; see `signatures`."""
        numbers = self.user_ids.numbers(user_ids)
        starts = tf.gather(self.seen_starts, numbers)
        places = tf.ragged.range(starts, tf.gather(self.seen_starts, numbers + 1))
        seen = tf.ragged.map_flat_values(lambda each: tf.gather(self.seen_items, each), places)
        return self.best(tf.gather(self.users, numbers), seen)

    def recommend_histories(self, histories: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return lists for new users; see `signatures`."""
        ids = tf.ragged.boolean_mask(histories, histories != self.item_ids.nothing)
        numbers = tf.ragged.map_flat_values(
            lambda each: tf.cast(self.item_ids.numbers(each), tf.int32), ids
        )
        return self.best(self.new_users(numbers), numbers)

    def score_pairs(self, user_ids: tf.Tensor, item_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the scores of users with items; see `signatures`."""
        same_size = tf.equal(tf.size(user_ids), tf.size(item_ids))
        user_ids = checked(user_ids, same_size, ["user_ids and item_ids differ in length"])
        users = tf.gather(self.users, self.user_ids.numbers(user_ids))
        items = tf.gather(self.items, self.item_ids.numbers(item_ids))
        products = tf.cast(users, tf.float64) * tf.cast(items, tf.float64)
        return {"scores": tf.cast(tf.reduce_sum(products, axis=1), tf.float32)}

    def best(self, vectors: tf.Tensor, seen: tf.RaggedTensor) -> dict[str, tf.Tensor]:
        """Return the k items with the largest scores: float32 [n, d], int32 [n, None]."""
        scores = tf.matmul(
            tf.cast(vectors, tf.float64), tf.cast(self.items, tf.float64), transpose_b=True
        )
        places = tf.stack([tf.cast(seen.value_rowids(), tf.int32), seen.values], axis=1)
        nothing = tf.fill([tf.size(seen.values)], np.float32(-np.inf))
        scores = tf.tensor_scatter_nd_update(tf.cast(scores, tf.float32), places, nothing)
        num_items = self.items.shape[0]
        # Among equal scores, the lower number comes first.
        found, numbers = tf.math.top_k(scores, min(self.topk, num_items))
        missing = [[0, 0], [0, self.topk - found.shape[1]]]
        found = tf.pad(found, missing, constant_values=-np.inf)
        numbers = tf.pad(numbers, missing)
        numbers = tf.where(tf.math.is_inf(found), num_items, numbers)
        return {"item_ids": tf.gather(self.listed_ids, numbers), "scores": found}


def require_small(data: Interactions) -> None:
    """Raise UserError if the ids of a dataset do not fit into a graph of TensorFlow."""
    size = sum(
        ids.nbytes if ids.dtype.kind in "iu" else sum(len(str(each).encode()) + 4 for each in ids)
        for ids in (data.user_ids, data.item_ids)
    )
    # A number goes with each id.
    size += 8 * (data.num_users + data.num_items)
    if size > LARGEST_IDS:
        raise UserError(
            f"the ids of {data.name} take {size / 1e9:.1f} GB in an exported model, which has room "
            f"for {LARGEST_IDS / 1e9:.1f}: prepare the dataset with shorter ids, such as integers."
        )


class Answering(Protocol):
    """A tf.Module that states the functions it answers with."""

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """What the model stores."""

    def signatures(self) -> dict[str, Any]:
        """Return the functions by name."""


def save(model: Answering, target: Path) -> None:
    """Write a model to a folder, which appears whole or not at all and replaces an earlier one.

    Gradients are not written.

    Args:
        model: the model, a tf.Module.
        target: the folder, locked by `folders.claim`.

    Raises:
        UserError: there is too little space on the disk.
    """
    size = sum(int(np.prod(each.shape)) * max(each.dtype.size, 1) for each in model.variables)
    require_space(target.parent, size + SLACK_BYTES, f"the folder {target}")
    with folders.replace(target) as new:
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(model, str(new), signatures=model.signatures(), options=options)


def export(
    run: str | Path,
    directory: str | Path,
    *,
    topk: int = 20,
    version: int = 1,
    overwrite: bool = False,
    data_dir: str | Path = "data",
    allow_custom: bool = False,
) -> Path:
    """Write the model of a finished run in the layout of TensorFlow Serving.

    Args:
        run: the run's folder.
        directory: folder of the model's versions; created if it is missing.
        topk: length of the lists.
        version: number of the version.
        overwrite: whether to replace the version if it exists.
        data_dir: folder of the datasets.
        allow_custom: whether to import parts that the run names as module:object; see `load`.

    Returns:
        The folder of the version, `directory`/`version`.

    Raises:
        UserError: the version exists, another process writes it, the run is not finished, has no
            embeddings or is damaged, or its encoder cannot embed new users.

    Example:
        >>> export("runs/ml-100k-lightgcn-recns", "served/movies")
    """
    target = Path(directory) / str(version)
    with folders.claim(target, f"another process is writing {target}."):
        if target.exists() and not overwrite:
            raise UserError(f"{target} already exists: choose another --version, or --overwrite.")
        save(saved_recommender(run, topk, data_dir, allow_custom), target)
    return target


def saved_recommender(
    run: str | Path, topk: int, data_dir: str | Path, allow_custom: bool
) -> SavedRecommender:
    """Return the model of a finished run; see `export`."""
    folder = RunFolder(Path(run))
    if folder.config.exists():
        settings = folder.read_config()
        if settings.get("sampler") == "none":
            raise UserError(
                f"{run} is of the baseline {settings['encoder']}, which has no embeddings: choose "
                "the run of an encoder."
            )
        if not allow_custom:
            remedy = "call recns_tf.serving.saved_model.export with allow_custom=True"
            refuse_custom(settings, folder.config, remedy)
        if folder.read_results() is None:
            raise UserError(f"{run} is not finished: train it to the end first.")
    model, data = load(run, data_dir, allow_custom=allow_custom)
    users, items = read_embeddings(folder, data)
    return SavedRecommender(data, users, items, model.encoder.new_users(), topk)
