"""Write a dataset in another format: --format=table, lightgcn or pinsage.

lightgcn and pinsage are folders in the formats of the authors' programs. A table is one file; the
end of its name selects .csv, .tsv, .inter (each also with .gz) or .parquet.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from recns_tf.commands.app import Call, Command, load_dataset
from recns_tf.config.config import Config, Workspace
from recns_tf.config.flags import Checked, one_of, option
from recns_tf.datasets.formats.writers import FOLDER_WRITERS, WRITERS
from recns_tf.utils import folders
from recns_tf.utils.new_files import refuse_existing


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export(Checked):
    """The output format."""

    format: str = option("table", "format of the output", one_of(*WRITERS))


def main(call: Call) -> None:
    """Run the command."""
    path, export = Path(call.words[1]), call.settings(Export)
    folders.restore(path)
    _, interactions, _ = load_dataset(call, lambda _: refuse_existing(path))
    with folders.claim(path, f"another process is writing {path}."):
        refuse_existing(path)
        write = WRITERS[export.format]
        if export.format in FOLDER_WRITERS:
            with folders.replace(path) as temporary:
                write(interactions, temporary)
        else:
            write(interactions, path)
    print(f"{interactions.summary()}\n{path.absolute()}: written as {export.format}.")


COMMAND = Command(
    about=__doc__ or "",
    words="DATASET PATH",
    example="ml-100k ml-100k.csv",
    settings=(Config, Workspace, Export),
    run=main,
    flagfile_words=1,
)
