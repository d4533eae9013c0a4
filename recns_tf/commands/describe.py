"""Describe a dataset in numbers and a picture.

Prints its row of the paper's Table 1, degree quantiles, the share of the items in the intermediate
region per khop (§3.3), the number of users without exposures, the number of exposed items that are
held-out positives, and AUCs that measure how hard the negatives are. Writes the same to
data/DATASET/description.json, and a plot of the degrees to description.png.
"""

from __future__ import annotations

from pathlib import Path

from recns_tf import datasets
from recns_tf.commands.app import Call, Command
from recns_tf.config.config import Config, Workspace
from recns_tf.utils.files import write_json
from recns_tf.utils.quiet import silenced_stderr


def main(call: Call) -> None:
    """Run the command."""
    workspace = call.settings(Workspace)
    datasets.require(call.words[0], workspace.data_dir)
    settings = call.settings(Config, dataset=call.words[0])
    interactions = datasets.load(settings, workspace.data_dir)
    with silenced_stderr():
        from recns_tf.analysis.dataset import KHOPS, describe, report
        from recns_tf.analysis.plots import plot_degrees
    about = describe(interactions, tuple(sorted({*KHOPS, settings.khop})))
    print(report(about))
    folder = Path(workspace.data_dir) / call.words[0]
    write_json(folder / "description.json", about)
    plot_degrees(interactions, folder / "description.png")
    print(f"\n{folder}/: description.json description.png")


COMMAND = Command(
    about=__doc__ or "",
    words="DATASET",
    example="ml-100k",
    settings=(Config, Workspace),
    run=main,
    flagfile_words=1,
)
