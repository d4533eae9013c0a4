"""The sections of a report. Each leaves out what its runs do not have."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from recns_tf.reporting import markup
from recns_tf.reporting.charts import Line, interval, line_chart
from recns_tf.reporting.markup import Cell, Html, joined, named, table
from recns_tf.reporting.runs import (
    Group,
    Run,
    best_epoch,
    by_dataset,
    number,
    series_names,
    setting,
)
from recns_tf.reporting.slices import Slice
from recns_tf.run_folder import METRIC, METRICS
from recns_tf.summary import spread

LOSSES = ("loss", "ranking_loss", "penalty")
SECONDS = ("seconds", "sampling_seconds")
NAMES = {
    "loss": "training loss, with its penalty",
    "ranking_loss": "ranking loss",
    "penalty": "L2 penalty",
    "false_negatives": "share of false negatives (held-out positives)",
    "exposed_negatives": "share of exposed negatives",
    "negative_popularity": "popularity of negatives (mean train users)",
    "positive_score": "mean score of positives",
    "negative_score": "mean score of negatives",
    "seconds": "seconds an epoch",
    "sampling_seconds": "seconds of sampling an epoch",
}
"""What the numbers of metrics.jsonl are called; others by their own names."""
IN_LABELS = ("dataset", "encoder", "sampler", "seed", "data")


def of_each(
    groups: Sequence[Group],
    content: Callable[[Sequence[Group]], Html],
    in_legend: Callable[[Group], bool] = lambda group: False,
) -> Html:
    """Return what `content` makes of each dataset's groups, under the dataset's name.

    Args:
        groups: all.
        content: of a dataset's groups; datasets for which it is empty are left out.
        in_legend: which of them a legend is to name.
    """
    parts = []
    for dataset, members in by_dataset(groups).items():
        made = content(members)
        if not made:
            continue
        labels = {n: group.label for n, group in enumerate(members) if in_legend(group)}
        key = markup.legend(labels) if labels else ""
        parts.append(Html(f"<div><h3>{markup.text(dataset)}</h3>{key}{made}</div>"))
    return joined(parts)


def results(groups: Sequence[Group]) -> Html:
    """Return the final metrics: mean ± standard deviation over seeds."""

    def content(members: Sequence[Group]) -> Html:
        ends = [end for group in members for end in ends_of(group.tested(METRIC))]
        rows = [
            result_row(style, group, min(ends, default=0), max(ends, default=1))
            for style, group in enumerate(members)
        ]
        heads = ["", *(f"test {name}" for name in METRICS.values()), "", "valid Recall@20"]
        heads += ["best epoch", "s an epoch", "false negatives", "finished runs"]
        published = [group.numbers("paper", METRIC) for group in members]
        if any(published):
            heads.append("paper Recall@20")
            for row, values in zip(rows, published, strict=True):
                row.append(mean_of(values))
        return table(heads, rows)

    about = markup.paragraph(
        "Mean ± sample standard deviation over seeds; the dots show test Recall@20 and one "
        "deviation. The test set is scored once, at the best epoch of validation. Of "
        "unfinished runs, the best epoch so far."
    )
    return joined([about, of_each(groups, content)])


def ends_of(values: list[float]) -> list[float]:
    """Return a mean less and plus one deviation, if there are values."""
    if not values:
        return []
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return [statistics.mean(values) - deviation, statistics.mean(values) + deviation]


def result_row(style: int, group: Group, low: float, high: float) -> list[object]:
    """Return the cells of a group in the table of results; low and high are ends of the scale."""
    tested = group.tested(METRIC)
    dot = ""
    if tested:
        first, last = ends_of(tested)
        dot = interval((first + last) / 2, (last - first) / 2, low, high, style)
    cells: list[object] = [named(style, group.label)]
    for metric in METRICS:
        values = group.tested(metric)
        cells.append(spread(values) if values else "")
    cells.append(Html(dot))
    valid = group.numbers("valid", METRIC)
    cells.append(spread(valid) if valid else "")
    epochs = [
        epoch
        for run in group.runs
        if not run.is_closed_form and (epoch := best_epoch(run)) is not None
    ]
    cells.append(f"{statistics.mean(epochs):.0f}" if epochs else "")
    seconds = [
        statistics.median(each)
        for run in group.runs
        if (each := [found for row in run.rows if (found := number(row, "seconds")) is not None])
    ]
    cells.append(f"{statistics.median(seconds):.2f}" if seconds else "")
    false = [
        found
        for run in group.runs
        if (found := number(run.results, "negatives", "false_negatives")) is not None
        or (found := number(run.best_row(), "false_negatives")) is not None
    ]
    cells.append(f"{statistics.mean(false):.2%}" if false else "")
    cells.append(f"{len(group.finished)} of {len(group.runs)}")
    return cells


def mean_of(values: list[float]) -> str:
    """Return the mean with four places, nothing of nothing."""
    return f"{statistics.mean(values):.4f}" if values else ""


def lines_of(groups: Sequence[Group], *keys: str) -> list[Line]:
    """Return a line over epochs for each run that has a number at row[key][key]."""
    lines = []
    for style, group in enumerate(groups):
        for run in group.runs:
            points = [
                (float(row["epoch"]), found)
                for row in run.rows
                if (found := number(row, *keys)) is not None
            ]
            epoch = best_epoch(run)
            marked = next((point for point in points if point[0] == epoch), None)
            label = group.label if len(group.runs) == 1 else f"{group.label}, seed {run.seed}"
            lines.append(Line(style, label, points, marked))
    return [line for line in lines if line.points]


def has_rows(group: Group) -> bool:
    """Return whether a group has anything to draw over epochs."""
    return any(run.rows for run in group.runs)


def charts(made: Sequence[str]) -> Html:
    """Return charts side by side as far as there is room."""
    found = "".join(made)
    return Html(f'<div class="charts">{found}</div>' if found else "")


def curves(groups: Sequence[Group]) -> Html:
    """Return validation metrics and losses over epochs."""

    def content(members: Sequence[Group]) -> Html:
        made = [
            line_chart(f"validation {label}", lines_of(members, "valid", metric), "epoch")
            for metric, label in METRICS.items()
        ]
        made += [
            line_chart(NAMES[name], lines_of(members, name), "epoch")
            for name in sorted(series_names(members, LOSSES.__contains__), key=LOSSES.index)
        ]
        return charts(made)

    found = of_each(groups, content, has_rows)
    about = markup.paragraph(
        "A line a run; the dot is its best epoch. Touch a name to see it alone."
    )
    return joined([about, found]) if found else Html()


def samplers(groups: Sequence[Group]) -> Html:
    """Return all that the runs report of their negatives, and their time, over epochs."""
    apart = {"epoch", *LOSSES}

    def content(members: Sequence[Group]) -> Html:
        names = series_names(members, lambda name: name not in apart)
        names.sort(
            key=lambda name: (name in SECONDS, list(NAMES).index(name) if name in NAMES else 9)
        )
        return charts(
            [
                line_chart(
                    NAMES.get(name, name.replace("_", " ")), lines_of(members, name), "epoch"
                )
                for name in names
            ]
        )

    return of_each(groups, content, has_rows)


def regions(groups: Sequence[Group]) -> Html:
    """Return what the regions hold that negatives come from."""

    def content(members: Sequence[Group]) -> Html:
        rows = []
        for style, group in enumerate(members):
            region = next(
                (found for run in group.finished if (found := (run.results or {}).get("region"))),
                None,
            )
            if not isinstance(region, dict):
                continue
            words = [str(region.get(name, "")) for name in ("kind", "khop", "reading")]
            if region.get("kind") == "all":
                words[1:] = ["", ""]
            shares = [
                number(region, "coverage", name) for name in ("mean", "p5", "median", "p95")
            ] + [number(region, "share_of_unobserved")]
            cells = ["" if share is None else f"{share:.1%}" for share in shares]
            few = number(region, "users_under_num_candidates")
            none = number(region, "users_without")
            counts = ["" if found is None else f"{found:,.0f}" for found in (few, none)]
            rows.append([named(style, group.label), *words, *cells, *counts])
        heads = ["", "region", "khop", "reading", "mean", "5 %", "median", "95 %"]
        heads += ["of unobserved", "users under M", "users without"]
        return table(heads, rows, left=4) if rows else Html()

    found = of_each(groups, content)
    about = markup.paragraph(
        "Share of the catalogue that a user's region holds, over users, and of all unobserved "
        "items; users whose region holds fewer than M items, or none."
    )
    return joined([about, found]) if found else Html()


def slices(
    groups: Sequence[Group],
    found: Mapping[str, tuple[Slice, Slice]],
    sentences: Sequence[str],
) -> Html:
    """Return test Recall@20 by user degree and by item popularity.

    Args:
        groups: all.
        found: the two slices of runs by their paths.
        sentences: on what could not be computed.
    """

    def content(members: Sequence[Group]) -> Html:
        parts = []
        kinds = (
            ("users, by their train items", "train items of the user"),
            ("held-out pairs, by their item's popularity", "train users of the item"),
        )
        for place, (kind, axis) in enumerate(kinds):
            lines, rows = [], []
            names: list[str] = []
            sizes: list[int] = []
            for style, group in enumerate(members):
                here = [found[str(run.path)][place] for run in group.runs if str(run.path) in found]
                # Runs of one dataset whose data differ have groups of their own.
                here = [one for one in here if one.names == (names or here[0].names)]
                if not here:
                    continue
                names, sizes = here[0].names, here[0].sizes
                columns = list(zip(*(one.recall for one in here), strict=True))
                means = [statistics.mean(column) for column in columns]
                lines.append(Line(style, group.label, list(enumerate(means))))
                rows.append([named(style, group.label), *(spread(list(each)) for each in columns)])
            title = f"test Recall@20 of {kind}"
            heads = [f"{name} ({size:,})" for name, size in zip(names, sizes, strict=True)]
            if rows:
                chart = line_chart(title, lines, axis, names)
                parts.append(
                    (chart, markup.details(f"{title}, in numbers", table(["", *heads], rows)))
                )
        return joined([charts([chart for chart, _ in parts]), *(Html(more) for _, more in parts)])

    def is_sliced(group: Group) -> bool:
        return any(str(run.path) in found for run in group.runs)

    def none_if_empty(members: Sequence[Group]) -> Html:
        return content(members) if any(map(is_sliced, members)) else Html()

    made = of_each(groups, none_if_empty, is_sliced)
    about = markup.paragraph(
        "Quantile groups, recomputed from the run's embeddings or lists; means over seeds. Among "
        "users Recall is averaged over users; among pairs it is the share that is found."
    )
    missing = joined(markup.paragraph(sentence) for sentence in sentences)
    return joined([about if made else "", made, missing])


def differences(groups: Sequence[Group]) -> Html:
    """Return the settings in which the groups of a dataset differ."""

    def content(members: Sequence[Group]) -> Html:
        names = dict.fromkeys(name for group in members for name in group.settings)
        cells = {
            name: [setting(group, name) for group in members]
            for name in names
            if name not in IN_LABELS
        }
        told = {
            name: found
            for name, found in cells.items()
            if len({value for value, _ in found if value}) > 1
        }
        if not told:
            return Html()
        rows = [
            [
                named(style, group.label),
                *(
                    value if recorded else Cell(value, "default")
                    for value, recorded in (found[style] for found in told.values())
                ),
            ]
            for style, group in enumerate(members)
        ]
        return table(["", *told], rows)

    found = of_each(groups, content)
    about = markup.paragraph("In italics: defaults of settings that a run's version did not know.")
    return joined([about, found]) if found else Html()


def provenance(runs: Sequence[Run]) -> Html:
    """Return what data and what versions the runs were made with."""
    data: dict[tuple[str, str], list[Any]] = {}
    versions: dict[str, int] = {}
    for run in runs:
        key = (str(run.config["dataset"]), str(run.checksum or "?"))
        results = run.results or {}
        about = results.get("data")
        data.setdefault(key, []).append(about.get("source") if isinstance(about, dict) else None)
        if run.results is not None:
            found = results.get("versions")
            found = found if isinstance(found, dict) else {}
            stamp = json.dumps({"commit": short(str(results.get("git_commit") or "?")), **found})
            versions[stamp] = versions.get(stamp, 0) + 1
    rows: list[list[object]] = []
    for (name, checksum), sources in data.items():
        source = next((one for one in sources if one is not None), None)
        rows.append([name, checksum[:12], Cell(words_of(source), "wrap"), len(sources)])
    parts = [table(["dataset", "checksum", "made from", "runs"], rows, left=3)]
    if versions:
        stamps = [json.loads(stamp) for stamp in versions]
        names = list(dict.fromkeys(name for stamp in stamps for name in stamp))
        rows = [
            [*(str(stamp.get(name, "")) for name in names), count]
            for stamp, count in zip(stamps, versions.values(), strict=True)
        ]
        parts.append(table([*names, "runs"], rows, left=len(names)))
    return joined(parts)


def short(commit: str) -> str:
    """Return the beginning of a commit, and the "+" of code that was changed since."""
    return commit[:10] + ("+" if commit.endswith("+") else "")


def words_of(source: Any) -> str:
    """Return what a dataset was made from in words; checksums are cut."""
    if not isinstance(source, dict):
        return "unknown until a run is finished" if source is None else str(source)
    return ", ".join(f"{name} {str(value)[:24]}" for name, value in source.items())


def every_run(groups: Sequence[Group]) -> Html:
    """Return a line for each run, and all settings of each group."""
    rows = []
    for group in groups:
        for run in group.runs:
            state = "finished" if run.results is not None else "unfinished"
            epoch = best_epoch(run)
            valid, test = run.number("valid", METRIC), number(run.results, "test", METRIC)
            rows.append(
                [
                    run.path.name,
                    Cell(f"{group.dataset} {group.label}", "wrap"),
                    state,
                    run.seed,
                    len(run.rows) or "",
                    "" if epoch is None else f"{epoch:.0f}",
                    "" if valid is None else f"{valid:.4f}",
                    "" if test is None else f"{test:.4f}",
                ]
            )
    heads = ["run", "", "", "seed", "epochs", "best", "valid Recall@20", "test Recall@20"]
    parts: list[object] = [table(heads, rows, left=3)]
    for group in groups:
        recorded = {name: value for name, value in group.runs[0].config.items() if name != "seed"}
        chosen = (group.runs[0].results or {}).get("chosen")
        if chosen:
            recorded["chosen on validation"] = chosen
        listing = Html(f"<pre>{markup.text(json.dumps(recorded, indent=2))}</pre>")
        seeds = ", ".join(str(run.seed) for run in group.runs)
        parts.append(
            markup.details(f"{group.dataset} {group.label}: settings (seeds {seeds})", listing)
        )
    return joined(parts)
