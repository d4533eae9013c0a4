"""The figures of both programs, and the table and the JSON value made of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.peers.programs import OURS, THEIRS, Trained
from benchmarks.peers.workload import Workload
from recns_tf.evaluation import ranking
from recns_tf.evaluation.display import label
from recns_tf.interactions import Interactions
from recns_tf.utils import markdown

METRICS = ("recall@20", "ndcg@20")
FAILED = "failed"


class Measured(NamedTuple):
    """The figures of one run.

    Attributes:
        seconds: of training in each epoch.
        gigabytes: peak memory of the process.
        metrics: test metrics by name.
    """

    seconds: list[float]
    gigabytes: float
    metrics: dict[str, float]


class Figures(NamedTuple):
    """The figures of one program in one workload, over its rounds.

    Attributes:
        seconds: median of the rounds' seconds per epoch; that of a round is the median over its
            epochs but the first.
        gigabytes: largest peak memory.
        metrics: means of the test metrics by name.
    """

    seconds: float
    gigabytes: float
    metrics: dict[str, float]


class Row(NamedTuple):
    """A workload, and what each round of each program measured, by the program's name."""

    workload: Workload
    rounds: Mapping[str, Sequence[Measured]]

    @property
    def figures(self) -> dict[str, Figures | None]:
        """The figures by program, None for one that failed in every round."""
        return {name: summarized(self.rounds[name]) for name in (OURS, THEIRS)}

    @property
    def ratio(self) -> float | None:
        """RecBole's seconds per epoch divided by ours, None if there are none of one of them."""
        ours, theirs = self.figures.values()
        return theirs.seconds / ours.seconds if ours and theirs else None


def measure(trained: Trained, data: Interactions) -> Measured:
    """Return the figures of a run; all programs' embeddings are evaluated here."""
    found = ranking.evaluate_part(*trained.embeddings(data), data, "test")
    metrics = {name: float(found[name]) for name in METRICS}
    return Measured(trained.seconds, trained.gigabytes, metrics)


def summarized(rounds: Sequence[Measured]) -> Figures | None:
    """Return the figures of a program's rounds, None without any."""
    if not rounds:
        return None
    return Figures(
        statistics.median(statistics.median(each.seconds[1:]) for each in rounds),
        max(each.gigabytes for each in rounds),
        {name: statistics.mean(each.metrics[name] for each in rounds) for name in METRICS},
    )


def table(rows: Sequence[Row]) -> list[str]:
    """Return the lines of a Markdown table with one row for each workload."""
    head = ["data, negatives", "s per epoch, ours", THEIRS, "ratio", "GB, ours", THEIRS]
    head += [title for name in METRICS for title in (f"{label(name)}, ours", THEIRS)]
    return markdown.table(head, map(cells, rows))


def cells(row: Row) -> list[str]:
    """Return the cells of a workload."""

    def both(text: Callable[[Figures], str]) -> list[str]:
        return [text(each) if each else FAILED for each in row.figures.values()]

    def of_metric(name: str) -> list[str]:
        return both(lambda each: f"{each.metrics[name]:.4f}")

    return [
        f"`{row.workload.dataset}`, {row.workload.negatives}",
        *both(lambda each: f"{each.seconds:.3g}"),
        f"{row.ratio:.2f}" if row.ratio else "",
        *both(lambda each: f"{each.gigabytes:.2f}"),
        *(cell for name in METRICS for cell in of_metric(name)),
    ]


def to_json(row: Row) -> dict[str, Any]:
    """Return a workload as a JSON value, with the seconds of every epoch of every round."""
    programs = {
        name: {
            **(figures._asdict() if figures else {}),
            "rounds": [each._asdict() for each in row.rounds[name]],
        }
        for name, figures in row.figures.items()
    }
    return row.workload._asdict() | {"ratio": row.ratio, "programs": programs}
