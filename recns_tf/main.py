"""Train and evaluate: python -m recns_tf.main DATASET ENCODER [--flag=value …].

`./run.sh` shows the datasets, encoders and samplers that exist.
"""

from __future__ import annotations

import sys
from pathlib import Path

from recns_tf import catalog, command_line, config, datasets, options
from recns_tf.config import Config, Workspace


def main(words: list[str]) -> None:
    """Run the command line whose positional words are `words`."""
    command_line.require_words(words, ("DATASET", "ENCODER"), "./run.sh ml-100k lightgcn")
    dataset, encoder = words
    workspace = options.from_flags(Workspace)
    datasets.require(dataset, workspace.data_dir)
    catalog.find(catalog.ENCODERS, "encoder", encoder)
    settings = options.from_flags(Config, dataset=dataset, encoder=encoder)

    interactions = datasets.load(settings, workspace.data_dir)
    # TensorFlow takes seconds to import: not before flags and data are known to be sound.
    with command_line.silenced_stderr():
        from recns_tf.training import train_and_evaluate
    train_and_evaluate(settings, workspace, interactions, Path(workspace.data_dir) / dataset)


def run() -> None:
    """Entry point of the console command recns-tf."""
    command_line.run(main, (Config, Workspace), lambda: config.expand(sys.argv))


if __name__ == "__main__":
    run()
