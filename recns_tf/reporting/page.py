"""Builds the page of a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from recns_tf.config.config import DEFAULTS
from recns_tf.config.flags import A_FOLDER, LARGEST_K, Checked, Rule, option, whole
from recns_tf.errors import UserError
from recns_tf.evaluation.display import label, split_key
from recns_tf.evaluation.part_metrics import (
    UNKNOWN,
    UNTRAINED,
    cold_sentences,
    saturation_sentences,
)
from recns_tf.interactions import Interactions
from recns_tf.reporting.content import Page
from recns_tf.reporting.groups import Group, comparable_recall, group_by_dataset, group_runs
from recns_tf.reporting.over_epochs import curves_section, negatives_section
from recns_tf.reporting.provenance_tables import provenance_section, runs_section
from recns_tf.reporting.region_table import regions_section
from recns_tf.reporting.rendering import render
from recns_tf.reporting.results_table import more_metrics_section, results_section
from recns_tf.reporting.runs import Run, number
from recns_tf.reporting.settings_table import settings_section
from recns_tf.reporting.slice_charts import slices_section
from recns_tf.reporting.slices import (
    Slice,
    list_share_by_popularity,
    recall_by_item_popularity,
    recall_by_user_degree,
)
from recns_tf.runs.data import NAMES, load_data_of
from recns_tf.runs.folder import RunFolder
from recns_tf.runs.recommendations import lists_of
from recns_tf.utils.text import count

TOLERANCE = 5e-4
"""How much Recall may change when items of equal score are in another order."""
HTML_FILE = Rule("a file name that ends in .html", lambda text: text.endswith(".html"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report(Checked):
    """The settings of a report."""

    output: str = option("report.html", "file to write", HTML_FILE)
    groups: int = option(
        5,
        "number of quantile groups of users and items for test Recall; 0 leaves them out",
        whole(0, 20),
    )
    data_dir: str = option("data", "folder of the datasets", A_FOLDER)


def build_page(runs: Sequence[Run], notes: Sequence[str], settings: Report) -> str:
    """Return the page on some runs as HTML.

    Args:
        runs: at least one run.
        notes: sentences on problems, shown at the top.
        settings: settings of the report.
    """
    notes = list(notes)
    groups = group_runs(runs, notes)
    kept = [run for group in groups for run in group.runs]
    slices, slice_notes = compute_slices(groups, settings)
    finished = sum(run.results is not None for run in kept)
    remarks = remarks_on_test(kept) + warning_remarks(kept) + metric_remarks(kept)
    sections = [
        results_section(groups),
        more_metrics_section(groups),
        curves_section(groups),
        negatives_section(groups),
        regions_section(groups),
        slices_section(groups, slices, slice_notes),
        settings_section(groups),
        provenance_section(kept),
        runs_section(groups),
    ]
    page = Page(
        title=f"Runs on {', '.join(sorted({group.dataset for group in groups}))}",
        summary=f"{count(len(kept), 'run')}, {finished} of them finished, in "
        f"{count(len(groups), 'group that differs', 'groups that differ')} in more than the seed.",
        notes=notes,
        remarks=remarks,
        sections=[section for section in sections if section.parts or section.notes],
    )
    return render(page)


CHOSEN = {"best": "the best epoch was chosen", "last": "when to stop was decided"}
"""What validation does in a run, by --keep."""


def remarks_on_test(runs: Sequence[Run]) -> list[str]:
    """Return a sentence for each use that runs make of the test set in training."""
    remarks = []
    for keep, chosen in CHOSEN.items():
        by_test = [
            run.path.name
            for run in runs
            if run.config.get("validate_on") == "test" and run.config.get("keep", "best") == keep
        ]
        if by_test:
            remarks.append(
                f"{', '.join(by_test)}: {chosen} on the test set (--validate_on=test), and the "
                "validation curves are of the test set."
            )
    return remarks


def warning_remarks(runs: Sequence[Run]) -> list[str]:
    """Return the warnings that the runs recorded, with their names."""
    found = []
    for run in runs:
        recorded = (run.results or {}).get("warnings")
        sentences = recorded if isinstance(recorded, list) else []
        found += [f"{run.path.name}: {sentence}" for sentence in sentences]
    return found


def metric_remarks(runs: Sequence[Run]) -> list[str]:
    """Return sentences on cold and saturated users, with the names of the runs they are about."""
    names: dict[str, list[str]] = {}
    for run in runs:
        test = (run.results or {}).get("test")
        recorded = test if isinstance(test, dict) else {}
        counts = {
            key: value for key, value in recorded.items() if number(recorded, key) is not None
        }
        meaning = UNKNOWN if run.is_closed_form else UNTRAINED
        for sentence in cold_sentences(counts, meaning) + saturation_sentences(counts):
            names.setdefault(sentence, []).append(run.path.name)
    return [f"{', '.join(found)}: {sentence}" for sentence, found in names.items()]


def compute_slices(
    groups: Sequence[Group], settings: Report
) -> tuple[dict[str, list[Slice]], list[str]]:
    """Return the test lists by user degree and item popularity, for the runs that allow it.

    Returns:
        The slices by the path of the run, and a sentence for each reason that some have none.
    """
    slices: dict[str, list[Slice]] = {}
    reasons: dict[str, list[str]] = {}
    loaded: dict[str, Interactions | UserError] = {}
    runs = [
        (run, comparable_recall(members))
        for members in group_by_dataset(groups).values()
        for group in members
        for run in group.finished
    ]
    for run, recall in runs if settings.groups else ():
        try:
            recorded = run.number("test", recall)
            if recorded is None:
                raise UserError(f"results.json has no test {label(recall)}.")
            data = load_data(run, loaded, settings.data_dir)
            ranker = str(run.config.get("ranker", DEFAULTS["ranker"]))
            depth = int(run.config.get("ranking_depth", 0))
            _, k = split_key(recall) or ("", 0)
            if k > LARGEST_K:
                raise UserError(f"lists of {count(k, 'item')} are longer than {LARGEST_K}.")
            lists = lists_of(RunFolder(run.path), data, ranker, depth, k)
            by_degree = recall_by_user_degree(lists, data, settings.groups)
            if abs(by_degree.mean - recorded) > TOLERANCE:
                raise UserError(
                    f"the lists do not reproduce the test {label(recall)} of results.json."
                )
            slices[str(run.path)] = [
                by_degree,
                recall_by_item_popularity(lists, data, settings.groups),
                list_share_by_popularity(lists, data, settings.groups),
            ]
        except UserError as error:
            reasons.setdefault(str(error), []).append(run.path.name)
    return slices, [
        f"Recall by group is left out for {', '.join(names)}: {reason}"
        for reason, names in reasons.items()
    ]


def load_data(run: Run, loaded: dict[str, Interactions | UserError], data_dir: str) -> Interactions:
    """Return the data of a run.

    Args:
        run: the run.
        loaded: cache of the data, or of the errors, of earlier runs.
        data_dir: folder of the datasets.

    Raises:
        UserError: the data cannot be loaded.
    """
    key = str([run.checksum, *(run.config.get(name) for name in NAMES)])
    if key not in loaded:
        try:
            loaded[key] = load_data_of(
                run.config, run.checksum or "", data_dir, RunFolder(run.path)
            )
        except UserError as error:
            loaded[key] = error
        except Exception as error:
            # Whatever is wrong with old settings or old data, the rest of the page is still useful.
            loaded[key] = UserError(
                f"the data of {run.config['dataset']} cannot be read ({error})."
            )
    found = loaded[key]
    if isinstance(found, UserError):
        raise found
    return found
