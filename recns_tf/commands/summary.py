"""Print mean ± standard deviation over the seeds of finished runs, as a table.

RUN is a folder under runs/. Runs that differ only in their seed are averaged, one row per group.
"""

from __future__ import annotations

from pathlib import Path

from recns_tf.commands.app import Call, Command
from recns_tf.runs.summary import summarize


def main(call: Call) -> None:
    """Run the command."""
    print(summarize([Path(word) for word in call.words]))


COMMAND = Command(
    about=__doc__ or "",
    words="RUN…",
    example="runs/*",
    settings=(),
    run=main,
)
