"""Print mean ± standard deviation over the seeds of finished runs, as a table.

RUN is a folder under runs/. Runs that differ only in their seed are averaged, one row per group.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from recns_tf.commands.app import Call, Command
from recns_tf.config.flags import Checked, option
from recns_tf.runs.summary import summarize


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary(Checked):
    """The flags of this command."""

    metrics: str = option(
        "",
        "test metrics to show, such as recall@5,map@5,coverage@5; if empty, Recall, NDCG and HR at "
        "the largest K of each run",
    )


def main(call: Call) -> None:
    """Run the command."""
    print(summarize([Path(word) for word in call.words], call.settings(Summary).metrics))


COMMAND = Command(
    about=__doc__ or "",
    words="RUN…",
    example="runs/*",
    settings=(Summary,),
    run=main,
)
