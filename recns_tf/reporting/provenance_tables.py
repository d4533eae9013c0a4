"""The sections on where each run comes from: its data, versions and settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from recns_tf.evaluation.display import label
from recns_tf.reporting.content import Cell, Details, Part, Section, Table, make_table
from recns_tf.reporting.groups import Group
from recns_tf.reporting.runs import Run, best_epoch, number


def provenance_section(runs: Sequence[Run]) -> Section:
    """Return the data and the versions that the runs used."""
    finished = [run for run in runs if run.results is not None]
    tables = [data_table(runs)]
    if finished:
        tables.append(versions_table(finished))
    return Section("provenance", "Data and versions", "", [Part(tables=tables)])


def data_table(runs: Sequence[Run]) -> Table:
    """Return a row for each dataset and checksum."""
    data: dict[tuple[str, str], list[Any]] = {}
    for run in runs:
        key = (str(run.config["dataset"]), str(run.checksum or "?"))
        about = (run.results or {}).get("data")
        data.setdefault(key, []).append(about.get("source") if isinstance(about, dict) else None)
    rows: list[list[object]] = []
    for (name, checksum), sources in data.items():
        source = next((one for one in sources if one is not None), None)
        rows.append([name, checksum[:12], Cell(describe_source(source), "wrap"), len(sources)])
    return make_table(["dataset", "checksum", "made from", "runs"], rows, left=3)


def versions_table(finished: Sequence[Run]) -> Table:
    """Return a row for each set of versions, with the number of its runs."""
    counts: dict[str, int] = {}
    for run in finished:
        results = run.results or {}
        versions = results.get("versions")
        commit = shorten_commit(str(results.get("git_commit") or "?"))
        stamp = json.dumps({"commit": commit, **(versions if isinstance(versions, dict) else {})})
        counts[stamp] = counts.get(stamp, 0) + 1
    stamps = [json.loads(stamp) for stamp in counts]
    names = list(dict.fromkeys(name for stamp in stamps for name in stamp))
    rows = [
        [*(stamp.get(name, "") for name in names), count]
        for stamp, count in zip(stamps, counts.values(), strict=True)
    ]
    return make_table([*names, "runs"], rows, left=len(names))


def shorten_commit(commit: str) -> str:
    """Return the beginning of a commit, with the "+" that marks changed code."""
    return commit[:10] + ("+" if commit.endswith("+") else "")


def describe_source(source: Any) -> str:
    """Return in words what a dataset was made from; checksums are cut."""
    if not isinstance(source, dict):
        return "unknown until a run is finished" if source is None else str(source)
    return ", ".join(f"{name} {str(value)[:24]}" for name, value in source.items())


def runs_section(groups: Sequence[Group]) -> Section:
    """Return a row for each run, and all settings of each group."""
    rows = [run_row(group, run) for group in groups for run in group.runs]
    heads = ["run", "", "", "selected by", "seed", "epochs", "best", "valid", "test"]
    part = Part(
        tables=[make_table(heads, rows, left=4)],
        details=[settings_details(group) for group in groups],
    )
    about = "The columns valid and test show the metric that selects the best epoch."
    return Section("runs", "Every run", about, [part])


def run_row(group: Group, run: Run) -> list[object]:
    """Return the cells of a run in the table of runs."""
    epoch = best_epoch(run)
    valid, test = run.number("valid", run.metric), number(run.results, "test", run.metric)
    return [
        run.path.name,
        Cell(f"{group.dataset} {group.label}", "wrap"),
        "unfinished" if run.results is None else "finished",
        label(run.metric),
        run.seed,
        len(run.rows) or "",
        "" if epoch is None else f"{epoch:.0f}",
        "" if valid is None else f"{valid:.4f}",
        "" if test is None else f"{test:.4f}",
    ]


def settings_details(group: Group) -> Details:
    """Return the recorded settings of a group."""
    first = group.runs[0]
    recorded = {name: value for name, value in first.config.items() if name != "seed"}
    chosen = (first.results or {}).get("chosen")
    if chosen:
        recorded["chosen on validation"] = chosen
    seeds = ", ".join(str(run.seed) for run in group.runs)
    summary = f"{group.dataset} {group.label}: settings (seeds {seeds})"
    return Details(summary, text=json.dumps(recorded, indent=2))
