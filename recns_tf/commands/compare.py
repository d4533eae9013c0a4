"""Rank embeddings saved by any program, exactly and by the authors' truncated search.

A truncated search finds a fixed number of items and then drops the seen ones. --run names a run of
this program to compare with. Tables, significance tests, per-user metrics and a plot are written to
comparisons/DATASET or --output.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from recns_tf import datasets
from recns_tf.commands.app import Call, Command
from recns_tf.config.config import Config, Workspace
from recns_tf.config.flags import LARGEST_INTEGER, Checked, list_of, option
from recns_tf.errors import UserError
from recns_tf.evaluation.part_metrics import UNKNOWN, caveats
from recns_tf.interactions import users_with
from recns_tf.utils.files import sha256, write_json, write_text
from recns_tf.utils.quiet import silenced_stderr
from recns_tf.utils.text import count
from recns_tf.utils.together import written_together

LEAST_USERS = 2
DEPTHS = list_of(1, LARGEST_INTEGER, "200,500")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison(Checked):
    """The flags of this command."""

    users: str = option("", "user embeddings: a .npy file, float [number of users, d]")
    items: str = option("", "item embeddings: a .npy file, float [number of items, d]")
    user_ids: str = option(
        "", "a .npy file with the user id of each row; if empty, rows are in the dataset's order"
    )
    item_ids: str = option(
        "", "a .npy file with the item id of each row; if empty, rows are in the dataset's order"
    )
    run: str = option("", "folder of a finished run to compare with")
    depth: str = option("200,500", "depths of the truncated searches", DEPTHS)
    output: str = option("", "output folder; comparisons/DATASET if empty")


def main(call: Call) -> None:
    """Run the command."""
    workspace, wanted = call.settings(Workspace), call.settings(Comparison)
    datasets.require(call.words[0], workspace.data_dir)
    for name in ("users", "items"):
        if not getattr(wanted, name):
            raise UserError(f"--{name} is needed: the .npy file of the {name[:-1]} embeddings.")
    settings = call.settings(Config, dataset=call.words[0])
    interactions = datasets.load(settings, workspace.data_dir)
    with silenced_stderr():
        from recns_tf.comparison import comparison, embedding_files
        from recns_tf.comparison.plot import plot_comparison
    print(interactions.summary())
    users = users_with(interactions.test)
    if len(users) < LEAST_USERS:
        raise UserError(
            f"{call.words[0]} has {count(len(users), 'user')} with test positives: at least "
            f"{LEAST_USERS} are needed."
        )
    for sentence in caveats(interactions, settings.ks, meaning=UNKNOWN):
        print(sentence)
    files = {
        name: Path(getattr(wanted, name))
        for name in ("users", "items", "user_ids", "item_ids")
        if getattr(wanted, name)
    }
    tables = [(comparison.GIVEN, embedding_files.read_embeddings(interactions, files))]
    if wanted.run:
        folder = Path(wanted.run)
        tables.append((folder.resolve().name, embedding_files.read_run(interactions, folder)))
    depths = sorted({int(depth) for depth in wanted.depth.split(",")})
    given, *runs = (
        comparison.rank(name, embeddings, interactions, depths, settings.ranker, settings.ks)
        for name, embeddings in tables
    )
    run = runs[0] if runs else []
    found = comparison.metric_differences(given, run)
    report = comparison.markdown([*given, *run], found)
    folder = Path(wanted.output or Path("comparisons") / call.words[0])
    about = {
        "dataset": call.words[0],
        "data": {"checksum": interactions.checksum, "source": interactions.source},
        "files": {
            name: {"path": str(file), "sha256": sha256(file)} for name, file in files.items()
        },
        "run": wanted.run or None,
    }
    with written_together(folder, last="results.json") as new:
        write_text(new / "per_user.csv", comparison.to_csv(interactions, [*given, *run]))
        write_text(new / "comparison.md", f"# {call.words[0]}\n\n{report}\n")
        plot_comparison(interactions, given, run, new / "comparison.png")
        write_json(new / "results.json", about | comparison.to_json([*given, *run], found))
    print(f"\n{report}\n\n{folder}/: comparison.md results.json per_user.csv comparison.png")


COMMAND = Command(
    about=__doc__ or "",
    words="DATASET",
    example="zhihu --users=embedding_u.npy --items=embedding_v.npy",
    settings=(Config, Workspace, Comparison),
    run=main,
    flagfile_words=1,
)
