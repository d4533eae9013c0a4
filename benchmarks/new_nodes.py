"""New users and items, embedded without training, beside the same ones when they are trained.

Run: .venv/bin/python -m benchmarks.new_nodes [--data=ml-100k --encoders=mf --side=users]

A tenth of the users is left out of training, and then embedded from the train positives. Their
Recall@20 on the test part is compared with that of a model that was trained with them, of the sum
of the items' embeddings, and of the most popular items. With --side=items, a tenth of the items is
left out, and embedded from the users who chose them. Recall@20 is then that of all users, beside
the one without these items in the lists. All models rank all items but the positives of train and
validation.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

import recns_tf as rt
from recns_tf import datasets
from recns_tf.commands import app
from recns_tf.commands.app import Call, Command
from recns_tf.config.config import Config
from recns_tf.config.flags import (
    A_DURATION,
    A_FOLDER,
    A_FOLDER_NAME,
    A_SEED,
    Checked,
    between,
    one_of,
    option,
)
from recns_tf.evaluation import ranking
from recns_tf.interactions import Interactions, degrees_of_items
from recns_tf.utils import markdown

METRIC = "recall@20"
Table = NDArray[np.float32]


@dataclasses.dataclass(frozen=True, kw_only=True)
class NewNodes(Checked):
    """The flags of this benchmark."""

    data: str = option("ml-100k", "name of the dataset", A_FOLDER_NAME)
    encoders: str = option("mf,lightgcn,ngcf", "encoders, with commas between them")
    sampler: str = option("unins", "the sampler")
    side: str = option("users", "which nodes are new", one_of("users", "items"))
    share: float = option(0.1, "share of them that is left out", between(0.001, 0.9))
    epochs: int = option(60, "maximum number of epochs", A_DURATION)
    seed: int = option(0, "seed of the choice and of all runs", A_SEED)
    data_dir: str = option("data", "folder of the datasets", A_FOLDER)
    json: str = option("", "JSON file for the results; none if empty")


def without(rows: csr_array, hidden: NDArray[np.bool_], side: str) -> csr_array:
    """Return the pairs of users, or items, that are not hidden: boolean CSR arrays [U, I]."""
    pairs = rows.tocoo()
    kept = ~hidden[pairs.coords[0 if side == "users" else 1]]
    places = tuple(coordinates[kept] for coordinates in pairs.coords)
    return csr_array((np.ones(kept.sum(), bool), places), shape=rows.shape)


def measure(settings: NewNodes, encoder: str, data: Interactions) -> dict[str, Any]:
    """Return Recall@20 of new nodes: embedded, trained, and as sums of their neighbors."""
    size = data.num_users if settings.side == "users" else data.num_items
    hidden = np.zeros(size, dtype=bool)
    rng = np.random.default_rng(settings.seed)
    hidden[rng.permutation(size)[: round(settings.share * size)]] = True
    parts: dict[str, Any] = {
        part: without(rows, hidden, settings.side)
        for part, rows in data.parts.items()
        if part != "test"
    }
    test = without(data.test, ~hidden, "users") if settings.side == "users" else data.test
    chosen = data.train if settings.side == "users" else csr_array(data.train.T)
    clicks = csr_array(chosen[np.flatnonzero(hidden)])

    seen = data.seen("test")

    def recall(users: Table, items: Table, excluded: csr_array = seen) -> float:
        return float(ranking.evaluate(users, items, test, excluded, 20)[METRIC])

    with tempfile.TemporaryDirectory() as runs:

        def train(name: str, part: Interactions) -> Any:
            model = rt.train(
                part,
                encoder,
                settings.sampler,
                seed=settings.seed,
                epochs=settings.epochs,
                runs_dir=runs,
                run_name=name,
                quiet=True,
            )
            return model.keras_model().encoder

        trained = recall(*train("with", data).embeddings())
        fewer = train("without", dataclasses.replace(data, **parts))
        users, items = fewer.embeddings()
        if settings.side == "users":
            new = fewer.embed_new_users(clicks)
            embedded = recall(replaced(users, hidden, new), items)
            total = recall(replaced(users, hidden, clicks.astype(np.float32) @ items), items)
            popularity = degrees_of_items(data.train).astype(np.float32)
            none = recall(np.ones((len(users), 1), np.float32), popularity[:, None])
        else:
            new = fewer.embed_new_items(clicks)
            embedded = recall(users, replaced(items, hidden, new))
            total = recall(users, replaced(items, hidden, clicks.astype(np.float32) @ users))
            rows = np.tile(hidden, (data.num_users, 1))
            none = recall(users, items, csr_array(seen.toarray() | rows))
    return {
        "new": embedded, "trained": trained, "sum": total, "none": none,
        "nodes": int(hidden.sum()), "test pairs": int(test.nnz),
    }  # fmt: skip


def replaced(table: Table, rows: NDArray[np.bool_], values: Table) -> Table:
    """Return a table with other values in some rows."""
    changed = table.copy()
    changed[rows] = values
    return changed


def main(call: Call) -> None:
    """Run the benchmark."""
    settings = call.settings(NewNodes)
    found = {}
    for encoder in settings.encoders.split(","):
        config = Config.for_run(settings.data, encoder)
        data = datasets.load(config, settings.data_dir)
        found[encoder] = measure(settings, encoder, data)
        print(encoder, found[encoder], flush=True)
    without_new = {"users": "the most popular items", "items": "without them"}[settings.side]
    head = ["encoder", "new", "trained", "the sum of the neighbors' embeddings", without_new]
    rows = [
        [name, *(f"{values[column]:.3f}" for column in ("new", "trained", "sum", "none"))]
        for name, values in found.items()
    ]
    print("\n".join(markdown.table(head, rows)))
    if settings.json:
        Path(settings.json).write_text(json.dumps(found, indent=1))


COMMAND = Command(
    about=__doc__ or "",
    words="",
    example="--side=items",
    settings=(NewNodes,),
    run=main,
)

if __name__ == "__main__":
    app.run(COMMAND, sys.argv[1:], "benchmarks.new_nodes")
