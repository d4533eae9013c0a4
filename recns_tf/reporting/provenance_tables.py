"""The sections of what each run is and was made from: data, versions, settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from recns_tf.evaluation.metrics import METRIC
from recns_tf.reporting import markup
from recns_tf.reporting.markup import Cell, Html, joined, table
from recns_tf.reporting.runs import Group, Run, best_epoch, number


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
