"""Write the items that a finished run recommends to its users, all of them or those of a file.

RUN is a folder under runs/. Each user gets the items with the largest scores, without those that
the user chose in any part of the data. The table has the columns user, item, rank and score, with
the ids of the log.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from tqdm import tqdm

from recns_tf.api import load
from recns_tf.commands.app import Call, Command
from recns_tf.config.flags import A_FOLDER, LARGEST_K, Checked, option, whole
from recns_tf.errors import UserError
from recns_tf.serving.chosen_ids import Chosen, of_file
from recns_tf.serving.list_files import LEGAL, list_writer, require_ending
from recns_tf.utils.new_files import new_file, refuse_existing
from recns_tf.utils.text import count as counted

TOPK = option(20, "length of the lists", whole(1, LARGEST_K))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recommend(Checked):
    """The flags of this command."""

    output: str = option("", f"file for the lists; its name ends in {LEGAL}")
    topk: int = TOPK
    users: str = option("", "file of user ids, one per line or in a column 'user'; all if empty")
    candidates: str = option(
        "", "file of the item ids to choose from, one per line or in a column 'item'; all if empty"
    )
    include_seen: bool = option(False, "keep the items that the user chose")
    data_dir: str = option("data", "folder of the datasets", A_FOLDER)
    overwrite: bool = option(False, "replace an existing file")


def main(call: Call) -> None:
    """Run the command."""
    settings = call.settings(Recommend)
    path = require_ending(settings.output)
    refuse_existing(path, settings.overwrite)
    model = load(call.words[0], data_dir=settings.data_dir, stored_ids=True)
    users = candidates = None
    if settings.users:
        users = named_in(settings.users, of_file("--users=", Path(settings.users), model.users))
    if settings.candidates:
        file = settings.candidates
        candidates = named_in(file, of_file("--candidates=", Path(file), model.items))
    count = model.data.num_users if users is None else len(users.ids)
    most = model.data.num_items if candidates is None else len(candidates.ids)
    require_topk(settings.topk, most, "items" if candidates is None else "candidates")
    started = time.perf_counter()
    lists = full = rows = 0
    with (
        new_file(path, settings.overwrite) as temporary,
        list_writer(temporary) as write,
        tqdm(total=count, unit="user", unit_scale=True, leave=False, disable=None) as bar,
    ):
        for part in model.recommendations(
            users and users.ids,
            settings.topk,
            candidates=candidates and candidates.ids,
            include_seen=settings.include_seen,
        ):
            write(part)
            rows += len(part["rank"])
            lists += int((part["rank"] == 1).sum())
            full += int((part["rank"] == settings.topk).sum())
            bar.update(lists - bar.n)
    if full < count:
        none = f", {count - lists:,} of them none" if lists < count else ""
        short = counted(count - full, "user has", "users have")
        print(f"{short} fewer than {counted(settings.topk, 'item')} left{none}.")
    seconds = time.perf_counter() - started
    said = f"{counted(count, 'user')}, {counted(rows, 'row')}, {seconds:.1f} s"
    print(f"{path.absolute()}: {said}.")


def named_in(file: str, chosen: Chosen) -> Chosen:
    """Return the users or items of a file; say how many ids it repeats."""
    if chosen.repeated:
        print(
            f"{file}: {counted(chosen.repeated, 'id is a repeat', 'ids are repeats')} and left out."
        )
    return chosen


def require_topk(topk: int, most: int, what: str) -> None:
    """Raise UserError if lists would be longer than what there is."""
    if topk > most:
        raise UserError(f"--topk={topk}: choose at most {most:,}, the number of {what}.")


COMMAND = Command(
    about=__doc__ or "",
    words="RUN",
    example="runs/ml-100k-lightgcn-recns --output=recommendations.parquet",
    settings=(Recommend,),
    run=main,
    interrupted="nothing was written",
)
