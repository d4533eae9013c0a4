"""The program: recns-tf COMMAND …, or ./run.sh COMMAND … in a checkout.

`recns-tf DATASET ENCODER` is short for `recns-tf train DATASET ENCODER`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from recns_tf import registry
from recns_tf.utils.program import HELP, program, short_name
from recns_tf.utils.streams import printable_streams
from recns_tf.utils.text import shown

EXAMPLES = (
    "ml-100k lightgcn",
    "ml-100k lightgcn --sampler=dns --seed=1",
    "ml-100k lightgcn --num_negatives=10 --khop=5 --run_name=khop5",
    "ml-100k lightgcn --config=runs/khop5/config.json --run_name=again",
    "baseline ml-100k ease",
    "summary runs/*",
    "prepare shop --input=clicks.csv --user=user_id --item=item_id --label=clicked",
    "shop lightgcn",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit.

    Args:
        arguments: the command line without the program; that of the process if None.
    """
    with printable_streams():
        call(list(sys.argv[1:] if arguments is None else arguments))


def call(line: list[str]) -> None:
    """Run the command that a command line names, or print what it asks for."""
    if line[:1] == ["help"] and len(line) > 1:
        line = [line[1], "--help"]
        if line[0] not in registry.COMMANDS:
            hint = registry.suggestion(line[0], registry.COMMANDS)
            name = shown(line[0])
            sys.exit(f"{short_name()}: unknown command '{name}': '{program()}' lists them.{hint}")
    if not line or line[0] in ("help", *HELP):
        print(usage())
        return
    name = "train"
    if line[0] in registry.COMMANDS:
        name, *line = line
    # Where the home cannot be written, it warns and uses a temporary folder.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        # Commands need packages, which the usage above does not.
        command = registry.COMMANDS[name].load()
    except ModuleNotFoundError as error:
        if error.name != registry.BENCHMARKS:
            raise
        sys.exit(f"{short_name()}: '{name}' needs a checkout of the project.")
    from recns_tf.commands import app

    app.run(command, line, f"{program()} {name}")


def usage() -> str:
    """Return the commands, the datasets and all other parts by name, and some examples."""
    called = program()
    lines = [
        f"Usage: {called} DATASET ENCODER [--flag=value …]   train, test, and leave runs/NAME/",
        f"       {called} COMMAND …                          one of the commands below",
        f"       {called} COMMAND --help                     every flag with its meaning",
        "",
        "Commands:",
        *registry.table(registry.COMMANDS),
        "",
        "Settings come from the flagfiles of the encoder, the dataset, and the two together, and",
        "from the command line; the last one wins.",
        "",
        "Examples:",
        *(f"  {called} {example}" for example in EXAMPLES),
        "",
        registry.describe(),
    ]
    if own := registry.prepared_names("data"):
        lines.append(f"Prepared from your own logs: {', '.join(own)}")
    return "\n".join(lines)
