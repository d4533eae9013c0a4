"""The time that the service takes for what its page shows: histories, and a sampler's negatives.

Run: .venv/bin/python -m benchmarks.service_page [--shape=zhihu --requests=20]

The model is matrix factorization with random embeddings, the sampler RecNS. Requests come one after
the other, for users drawn at random, each for one of the user's train positives. The first one is
listed apart, since it compiles what the others use.
"""

from __future__ import annotations

import dataclasses
import http.client
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

import numpy as np

from benchmarks.graphs import SHAPES, random_interactions
from benchmarks.ranking import DIM
from benchmarks.runs import write_run
from benchmarks.service import Service
from recns_tf.commands import app
from recns_tf.commands.app import Call, Command
from recns_tf.config.config import Config
from recns_tf.config.flags import A_NUMBER, Checked, one_of, option
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.runs.folder import RunFolder
from recns_tf.training.build import build
from recns_tf.utils import markdown


@dataclasses.dataclass(frozen=True, kw_only=True)
class Requests(Checked):
    """The flags of this benchmark."""

    shape: str = option("zhihu", "size of the data", one_of(*SHAPES))
    requests: int = option(20, "requests of each kind after the first", A_NUMBER)


def write_model(run: Path, data: Interactions) -> None:
    """Write a finished run with its weights."""
    rng = np.random.default_rng(0)
    tables = [
        rng.normal(0, DIM**-0.5, size=(count, DIM)).astype(np.float32)
        for count in (data.num_users, data.num_items)
    ]
    write_run(run, data, *tables)
    model, _, _ = build(Config(dataset=data.name, encoder="mf", dim=DIM), data)
    model.encoder.nodes.assign(np.concatenate(tables))
    weights = RunFolder(run).best_weights
    weights.parent.mkdir()
    model.save_weights(weights)


def milliseconds(port: int, path: str) -> float:
    """Return the time of a request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    started = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise UserError(f"{path}: {content.decode()[:200]}")
    return 1_000 * (time.perf_counter() - started)


def main(call: Call) -> None:
    """Run the benchmark."""
    settings = call.settings(Requests)
    data = random_interactions(SHAPES[settings.shape])
    active = np.flatnonzero(np.diff(data.train.indptr))
    users = np.random.default_rng(0).choice(active, settings.requests + 1)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        run = Path(name) / "run"
        write_model(run, data)
        service = Service(run)
        try:
            service.wait()
            for path in ("history", "negatives"):
                times = []
                for user in users:
                    words = {"user": str(data.user_ids[user])}
                    if path == "negatives":
                        positive = data.train.indices[data.train.indptr[user]]
                        words["item"] = str(data.item_ids[positive])
                    times.append(milliseconds(service.port, f"/{path}?{urlencode(words)}"))
                found = (times[0], np.median(times[1:]), max(times[1:]))
                rows.append([path, *(f"{value:.0f}" for value in found)])
            memory = service.resident_megabytes()
        finally:
            service.process.kill()
    print("\n".join(markdown.table(["request", "first, ms", "median", "longest"], rows)))
    print(f"memory: {memory:,.0f} MB")


COMMAND = Command(
    about=__doc__ or "",
    words="",
    example="--requests=5",
    settings=(Requests,),
    run=main,
)

if __name__ == "__main__":
    app.run(COMMAND, sys.argv[1:], "benchmarks.service_page")
