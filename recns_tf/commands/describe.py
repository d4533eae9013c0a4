"""Describe a dataset in numbers and a picture.

Prints its row of the paper's Table 1, degree quantiles, the share of the items in the intermediate
region per khop (§3.3), the numbers of users without exposures and of held-out users and items
without a train positive, the number of exposed items that are held-out positives, and AUCs that
measure how hard the negatives are. Writes the same to data/DATASET/description.json, and a plot of
the degrees to description.png.
"""

from __future__ import annotations

from recns_tf.commands.app import Call, Command, load_dataset
from recns_tf.config.config import Config, Workspace
from recns_tf.utils.files import write_json
from recns_tf.utils.quiet import silenced_stderr
from recns_tf.utils.together import written_together


def main(call: Call) -> None:
    """Run the command."""
    settings, interactions, folder = load_dataset(call)
    with silenced_stderr():
        from recns_tf.analysis.dataset import KHOPS, describe, report
        from recns_tf.analysis.plots import plot_degrees
    about = describe(interactions, tuple(sorted({*KHOPS, settings.khop})))
    print(report(about))
    with written_together(folder, last="description.json") as new:
        plot_degrees(interactions, new / "description.png")
        write_json(new / "description.json", about)
    print(f"\n{folder}/: description.json description.png")


COMMAND = Command(
    about=__doc__ or "",
    words="DATASET",
    example="ml-100k",
    settings=(Config, Workspace),
    run=main,
    flagfile_words=1,
)
