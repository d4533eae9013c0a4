"""Write one HTML page on any set of runs.

RUN is a folder under runs/, finished or not, of any version. The page is a single file and needs no
network.
"""

from __future__ import annotations

import sys
from pathlib import Path

from recns_tf.commands.app import Call, Command
from recns_tf.reporting.page import Report, build_page
from recns_tf.reporting.runs import read_runs
from recns_tf.utils import folders
from recns_tf.utils.files import write_text
from recns_tf.utils.text import count


def main(call: Call) -> None:
    """Run the command."""
    settings = call.settings(Report)
    runs, notes = read_runs([Path(word) for word in call.words])
    for note in notes:
        print(note, file=sys.stderr)
    path = Path(settings.output)
    with folders.claim(path, f"another process is writing {path}."):
        write_text(path, build_page(runs, notes, settings))
    print(f"{path.absolute()}: {count(len(runs), 'run')}.")


COMMAND = Command(
    about=__doc__ or "",
    words="RUN…",
    example="runs/*",
    settings=(Report,),
    run=main,
)
