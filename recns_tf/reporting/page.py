"""One page on any set of runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from recns_tf.config.config import DEFAULTS
from recns_tf.config.flags import NOT_EMPTY, Checked, Rule, between, option
from recns_tf.errors import UserError
from recns_tf.evaluation.metrics import METRIC
from recns_tf.interactions import Interactions
from recns_tf.reporting import (
    markup,
    over_epochs,
    provenance_tables,
    region_table,
    results_table,
    settings_table,
    slice_charts,
)
from recns_tf.reporting.markup import Html
from recns_tf.reporting.runs import Run, group_runs
from recns_tf.reporting.slices import Slice, by_item_popularity, by_user_degree, lists_by_popularity
from recns_tf.runs.data import NAMES, load_data_of
from recns_tf.runs.folder import RunFolder
from recns_tf.runs.recommendations import lists_of

TOLERANCE = 5e-4
"""What items of equal score, in another order, may change of Recall@20."""
A_PAGE = Rule("a file name that ends in .html", lambda text: text.endswith(".html"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report(Checked):
    """What to write, and where the data are."""

    output: str = option("report.html", "the page", A_PAGE)
    groups: int = option(
        5, "quantile groups of users and of items that test Recall@20 is told by", between(0, 20)
    )
    data_dir: str = option("data", "folder of the datasets", NOT_EMPTY)


def build_page(runs: Sequence[Run], notes: Sequence[str], settings: Report) -> Html:
    """Return the page on some runs.

    Args:
        runs: at least one.
        notes: sentences on what is amiss, to stand at the top.
        settings: of the report.
    """
    notes = list(notes)
    groups = group_runs(runs, notes)
    kept = [run for group in groups for run in group.runs]
    found, sentences = slices_of(kept, settings)
    finished = sum(run.results is not None for run in kept)
    lead: list[object] = [
        markup.paragraph(
            f"{len(kept)} runs, {finished} of them finished, in {len(groups)} groups that differ "
            "in more than the seed."
        )
    ]
    if notes:
        items = "".join(f"<p>{markup.text(note)}</p>" for note in notes)
        lead.append(Html(f'<div class="notes" role="note">{items}</div>'))
    by_test = [run.path.name for run in kept if run.config.get("validate_on") == "test"]
    if by_test:
        lead.append(
            markup.paragraph(
                f"{', '.join(by_test)}: the best epoch was chosen on the test set "
                "(--validate_on=test), and the validation curves are of the test set."
            )
        )
    datasets = sorted({group.dataset for group in groups})
    return markup.page(
        f"Runs on {', '.join(datasets)}",
        [
            ("results", "Results", results_table.results(groups)),
            ("curves", "Training curves", over_epochs.curves(groups)),
            ("samplers", "Negatives", over_epochs.samplers(groups)),
            ("regions", "Regions", region_table.regions(groups)),
            ("slices", "For whom, and of what", slice_charts.slices(groups, found, sentences)),
            ("settings", "Settings that differ", settings_table.differences(groups)),
            ("provenance", "Data and versions", provenance_tables.provenance(kept)),
            ("runs", "Every run", provenance_tables.every_run(groups)),
        ],
        markup.joined(lead),
    )


def slices_of(runs: Sequence[Run], settings: Report) -> tuple[dict[str, list[Slice]], list[str]]:
    """Return the test lists by user degree and item popularity of the runs that allow it.

    Returns:
        The slices by the run's path, and a sentence for each reason that some have none.
    """
    slices: dict[str, list[Slice]] = {}
    reasons: dict[str, list[str]] = {}
    loaded: dict[str, Interactions | UserError] = {}
    for run in runs if settings.groups else ():
        if run.results is None:
            continue
        try:
            data = data_of(run, loaded, settings.data_dir)
            ranker = str(run.config.get("ranker", DEFAULTS["ranker"]))
            depth = int(run.config.get("ranking_depth", 0))
            lists = lists_of(RunFolder(run.path), data, ranker, depth)
            of_users = by_user_degree(lists, data, settings.groups)
            told = run.number("test", METRIC)
            if told is None or abs(of_users.mean - told) > TOLERANCE:
                raise UserError("the lists do not make the test Recall@20 of results.json.")
            of_items = (by_item_popularity, lists_by_popularity)
            slices[str(run.path)] = [
                of_users,
                *(slice_by(lists, data, settings.groups) for slice_by in of_items),
            ]
        except UserError as error:
            reasons.setdefault(str(error), []).append(run.path.name)
    return slices, [
        f"Recall by group is left out for {', '.join(names)}: {reason}"
        for reason, names in reasons.items()
    ]


def data_of(run: Run, loaded: dict[str, Interactions | UserError], data_dir: str) -> Interactions:
    """Return the data of a run, from `loaded` if another run had the same.

    Raises:
        UserError: they cannot be had.
    """
    key = str([run.checksum, *(run.config.get(name) for name in NAMES)])
    if key not in loaded:
        try:
            loaded[key] = load_data_of(run.config, run.checksum or "", data_dir)
        except UserError as error:
            loaded[key] = error
        except Exception as error:
            # Whatever is wrong with old settings or old data, the rest of the page can be had.
            loaded[key] = UserError(
                f"the data of {run.config['dataset']} cannot be read ({error})."
            )
    found = loaded[key]
    if isinstance(found, UserError):
        raise found
    return found
