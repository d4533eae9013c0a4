"""Write a dataset in another format: --format=table, lightgcn or pinsage.

lightgcn and pinsage are folders in the formats of the authors' programs. A table is one file; the
end of its name selects .csv, .tsv, .inter (each also with .gz) or .parquet.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from recns_tf import datasets
from recns_tf.commands.app import Call, Command
from recns_tf.config.config import Config, Workspace
from recns_tf.config.flags import Checked, one_of, option
from recns_tf.datasets.formats.writers import FOLDER_WRITERS, WRITERS
from recns_tf.errors import UserError
from recns_tf.utils import folders


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export(Checked):
    """The output format."""

    format: str = option("table", "format of the output", one_of(*WRITERS))


def main(call: Call) -> None:
    """Run the command."""
    dataset, path = call.words[0], Path(call.words[1])
    workspace, export = call.settings(Workspace), call.settings(Export)
    datasets.require(dataset, workspace.data_dir)
    folders.restore(path)
    refuse_existing(path)
    settings = call.settings(Config, dataset=dataset)
    interactions = datasets.load(settings, workspace.data_dir)
    with folders.claim(path, f"another process is writing {path}."):
        refuse_existing(path)
        write = WRITERS[export.format]
        if export.format in FOLDER_WRITERS:
            with folders.replace(path) as temporary:
                write(interactions, temporary)
        else:
            write(interactions, path)
    print(f"{interactions.summary()}\n{path.absolute()}: written as {export.format}.")


def refuse_existing(path: Path) -> None:
    """Raise UserError if there is something at `path`."""
    if path.exists():
        raise UserError(f"{path} already exists: choose another name.")


COMMAND = Command(
    about=__doc__ or "",
    words="DATASET PATH",
    example="ml-100k ml-100k.csv",
    settings=(Config, Workspace, Export),
    run=main,
    flagfile_words=1,
)
