"""A model of yesterday's log as the start of today's: epochs and seconds until it is as good.

Run: .venv/bin/python -m benchmarks.updating [--data=ml-100k --encoder=lightgcn --sampler=recns]

The last tenth of a log is tomorrow. A model of the rest is trained first. Then the whole log is
trained on: from random weights, from those of the first model, and from these with the moments of
Adam. `as good` is the first epoch whose validation metric is at least the best one of the cold run.
Each user's last positives are tested, and those before them validate, so that hardly any of them
was a train positive of the first model. A log without times is put into a random order.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from matplotlib.figure import Figure

import recns_tf as rt
from recns_tf.commands import app
from recns_tf.commands.app import Call, Command
from recns_tf.config.flags import A_FOLDER, A_FOLDER_NAME, A_SEED, Checked, between, option
from recns_tf.datasets import ml_100k, prepared
from recns_tf.datasets.preprocessing.log import Log
from recns_tf.experiments import figures
from recns_tf.interactions import Interactions
from recns_tf.utils import markdown

METRIC = "recall@20"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Updating(Checked):
    """The flags of this benchmark."""

    positional: ClassVar[tuple[str, ...]] = ()

    data: str = option("ml-100k", "ml-100k, or the name of a prepared dataset", A_FOLDER_NAME)
    encoder: str = option("lightgcn", "the encoder")
    sampler: str = option("recns", "the sampler")
    share: float = option(0.1, "share of the log that is tomorrow", between(0.01, 0.9))
    seed: int = option(0, "seed of all runs", A_SEED)
    data_dir: str = option("data", "folder of the datasets", A_FOLDER)
    json: str = option("", "JSON file for the results; none if empty")
    picture: str = option("", "name of a picture, such as updating for updating.png and .svg")


class Found(NamedTuple):
    """What a run reached.

    Attributes:
        rows: one per epoch, as in metrics.jsonl.
        test: the test metric of the best epoch.
    """

    rows: list[dict[str, Any]]
    test: float

    @property
    def valid(self) -> list[float]:
        """The validation metric after each epoch."""
        return [row["valid"][METRIC] for row in self.rows]

    def until(self, goal: float) -> tuple[int, float] | None:
        """Return the first epoch that reaches a validation metric, and the seconds until then."""
        reached = np.flatnonzero(np.array(self.valid) >= goal)
        if not len(reached):
            return None
        epochs = int(reached[0]) + 1
        return epochs, sum(row["seconds"] for row in self.rows[:epochs])


def read_log(settings: Updating) -> Log:
    """Return a log whose events have times."""
    folder = Path(settings.data_dir) / settings.data
    if settings.data == "ml-100k":
        return ml_100k.read(folder / "u.data")
    _, log = prepared.contents(folder)
    if log.times is None:
        log = log._replace(times=np.random.default_rng(0).permutation(len(log.users)))
    return log


def until(log: Log, share: float, name: str) -> Interactions:
    """Return the dataset of the first part of a log.

    Args:
        log: events with times.
        share: of the events.
        name: of the dataset, whose flagfile has the settings of the runs.
    """
    assert log.times is not None
    kept = log.times <= np.quantile(log.times, share, method="lower")
    frame = {
        "user": log.user_ids[log.users[kept]],
        "item": log.item_ids[log.items[kept]],
        "label": log.positive[kept].astype(int),
        "time": log.times[kept],
    }
    return Interactions.from_frame(
        frame,
        name=name,
        user="user",
        item="item",
        label="label",
        timestamp="time",
        split="temporal",
        quiet=True,
    )


def main(call: Call) -> None:
    """Run the benchmark."""
    settings = call.settings(Updating)
    log = read_log(settings)
    today, whole = (until(log, share, settings.data) for share in (1 - settings.share, 1.0))
    print(today.summary(), whole.summary(), sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as runs:

        def train(name: str, data: Interactions, **changes: Any) -> Found:
            model = rt.train(
                data,
                settings.encoder,
                settings.sampler,
                seed=settings.seed,
                runs_dir=runs,
                run_name=name,
                **changes,
            )
            lines = model.run.metrics.read_text().splitlines()
            return Found([*map(json.loads, lines)], model.results["test"][METRIC])

        yesterday = train("yesterday", today)
        source = {"init_from": f"{runs}/yesterday"}
        found = {
            "cold": train("cold", whole),
            "warm": train("warm", whole, **source),
            "warm, moments kept": train("kept", whole, **source, init_optimizer="kept"),
        }
    goal = max(found["cold"].valid)
    print("\n".join(markdown.table(HEAD, [row(*each, goal) for each in found.items()])))
    print(f"yesterday's model: {len(yesterday.rows)} epochs")
    if settings.picture:
        draw(found, settings.data, Path(settings.picture))
    if settings.json:
        content = {"settings": dataclasses.asdict(settings), "yesterday": yesterday._asdict()}
        content |= {name: each._asdict() for name, each in found.items()}
        Path(settings.json).write_text(json.dumps(content, indent=1))


def draw(found: dict[str, Found], title: str, path: Path) -> None:
    """Draw the validation metric of each run over its epochs, as path.png and path.svg."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, each in found.items():
        axes.plot(range(1, len(each.rows) + 1), each.valid, label=name)
    goal = max(found["cold"].valid)
    axes.axhline(goal, color="0.4", linewidth=0.8, linestyle="dotted", label="best of cold")
    axes.set(xlabel="epoch", ylabel=f"validation {METRIC}", title=title)
    axes.legend()
    figures.save_figure(figure, path)


HEAD = [
    "start", "as good after epochs", "seconds", "best epoch", "epochs", f"valid {METRIC}",
    f"test {METRIC}",
]  # fmt: skip


def row(name: str, found: Found, goal: float) -> list[str]:
    """Return the row of a run in the table."""
    reached = found.until(goal)
    epochs, seconds = ("not reached", "") if reached is None else (reached[0], f"{reached[1]:.0f}")
    best = int(np.argmax(found.valid)) + 1
    numbers = f"{max(found.valid):.4f}", f"{found.test:.4f}"
    return [name, str(epochs), seconds, str(best), str(len(found.rows)), *numbers]


COMMAND = Command(
    about=__doc__ or "",
    words="",
    example="--data=kuairand",
    settings=(Updating,),
    run=main,
)

if __name__ == "__main__":
    app.run(COMMAND, sys.argv[1:], "benchmarks.updating")
