"""Print what a dataset is like, and draw its degrees: ./run.sh describe DATASET.

The row of the paper's Table 1, quantiles of degrees, how much of the catalogue the intermediate
region holds for each khop (§3.3), who has no exposure, which exposed items are held-out positives,
and how hard the negatives are. The same goes into data/DATASET/description.json, beside
description.png.
"""

from __future__ import annotations

from pathlib import Path

from recns_tf import command_line, datasets, options
from recns_tf.config import Config, Workspace
from recns_tf.files import write_json


def main(words: list[str]) -> None:
    """Run the command line whose positional words are `words`."""
    command_line.require_words(words, ("DATASET",), "./run.sh describe ml-100k")
    workspace = options.from_flags(Workspace)
    datasets.require(words[0], workspace.data_dir)
    settings = options.from_flags(Config, dataset=words[0])
    interactions = datasets.load(settings, workspace.data_dir)
    with command_line.silenced_stderr():
        from recns_tf.description import KHOPS, describe, report
        from recns_tf.plots import plot_degrees
    about = describe(interactions, tuple(sorted({*KHOPS, settings.khop})))
    print(report(about))
    folder = Path(workspace.data_dir) / words[0]
    write_json(folder / "description.json", about)
    plot_degrees(interactions, folder / "description.png")
    print(f"\n{folder}/: description.json description.png")


if __name__ == "__main__":
    command_line.run(main, (Config, Workspace), interrupted="run it again")
