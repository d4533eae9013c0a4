"""Write a dataset in another format: ./run.sh export DATASET PATH --format=lightgcn|pinsage|table.

lightgcn and pinsage are the folders that the authors' programs read; a table is one file, whose
name says whether it is .csv, .tsv, .inter (gzip of these with .gz) or .parquet.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from recns_tf import command_line, datasets, options
from recns_tf.config import Config, Workspace
from recns_tf.datasets.writers import WRITERS
from recns_tf.errors import UserError
from recns_tf.options import Checked, one_of, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export(Checked):
    """What to write."""

    format: str = option("table", "of what is written", one_of(*WRITERS))


def main(words: list[str]) -> None:
    """Run the command line whose positional words are `words`."""
    command_line.require_words(words, ("DATASET", "PATH"), "./run.sh export ml-100k ml-100k.csv")
    dataset, path = words[0], Path(words[1])
    workspace, export = options.from_flags(Workspace), options.from_flags(Export)
    datasets.require(dataset, workspace.data_dir)
    if path.exists():
        raise UserError(f"{path} exists already: choose another name.")
    settings = options.from_flags(Config, dataset=dataset)
    interactions = datasets.load(settings, workspace.data_dir)
    WRITERS[export.format](interactions, path)
    print(f"{interactions.summary()}\n{path.absolute()}: written as {export.format}.")


if __name__ == "__main__":
    command_line.run(main, (Config, Workspace, Export), interrupted="run it again")
