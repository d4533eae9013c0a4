"""Describe a dataset: its row of the paper's Table 1, degrees, region coverage, leaks, AUCs."""

from __future__ import annotations

from typing import Any

import numpy as np

from recns_tf.analysis import statistics
from recns_tf.analysis.region_coverage import KHOPS, measure_coverage
from recns_tf.datasets.cold_start import ColdStart, cold_start, sentences
from recns_tf.interactions import Interactions, users_with
from recns_tf.regions.region import quantiles_of
from recns_tf.utils.text import count


def describe(interactions: Interactions, khops: tuple[int, ...] = KHOPS) -> dict[str, Any]:
    """Return the statistics of a dataset as JSON values.

    Args:
        interactions: the dataset.
        khops: walk lengths for which the intermediate region is measured.
    """
    positives = interactions.positives
    held_out = interactions.held_out
    coverage = measure_coverage(interactions, khops).coverage
    cells = interactions.num_users * interactions.num_items
    return {
        "dataset": interactions.name,
        "checksum": interactions.checksum,
        "source": interactions.source,
        "table_1": {
            "users": interactions.num_users,
            "items": interactions.num_items,
            "edges": positives.nnz,
            "exposure": interactions.exposed.nnz,
            "density": positives.nnz / cells,
        },
        "splits": {part: getattr(interactions, part).nnz for part in ("train", "valid", "test")},
        "users_without": {
            "train positives": int((np.diff(interactions.train.indptr) == 0).sum()),
            "exposures": int((np.diff(interactions.exposed.indptr) == 0).sum()),
            "held-out positives": int((np.diff(held_out.indptr) == 0).sum()),
        },
        "tested_users": len(users_with(interactions.test)),
        "cold_start": {part: found._asdict() for part, found in cold_start(interactions).items()},
        "exposed_held_out": {
            part: interactions.exposed.multiply(getattr(interactions, part)).nnz
            for part in ("valid", "test")
        },
        "region_coverage": {
            f"khop {khop}": quantiles_of(share) for khop, share in coverage.items()
        },
        "figures": {
            name: None if np.isnan(value) else value
            for name, value in statistics.closeness(interactions).items()
        },
    }


def report(about: dict[str, Any]) -> str:
    """Return the statistics from `describe` as text."""
    table = about["table_1"]
    users = table["users"]
    lines = [
        f"{'dataset':20}{'users':>10}{'items':>10}{'edges':>12}{'exposure':>12}{'density':>10}",
        f"{about['dataset']:20}{users:>10,}{table['items']:>10,}{table['edges']:>12,}"
        f"{table['exposure']:>12,}{table['density']:>10.5f}",
        "",
        ", ".join(f"{number:,} {part}" for part, number in about["splits"].items()) + " positives",
    ]
    lines += [
        f"{count(number, 'user')} ({number / users:.1%}) without {kind}"
        for kind, number in about["users_without"].items()
    ]
    lines += sentences({part: ColdStart(**found) for part, found in about["cold_start"].items()})
    tested, leaks = about["tested_users"], about["exposed_held_out"]
    lines += [
        f"{count(tested, 'tested user')} ({tested / users:.1%})",
        f"{count(leaks['valid'], 'exposed pair is a positive', 'exposed pairs are positives')} of "
        f"valid, {leaks['test']:,} of test"
        + (": they stay exposed" if any(leaks.values()) else ""),
        "",
        f"{'degrees':8}" + "".join(f"{level:>9}" for level in statistics.LEVELS),
    ]
    figures = about["figures"]
    show_zhihu = about["dataset"].startswith("synthetic")
    for kind in ("user", "item"):
        names = [f"{kind} degree {level}" for level in statistics.LEVELS]
        lines.append(f"{kind:8}" + "".join(f"{figures[name]:>9,.0f}" for name in names))
        if show_zhihu:
            cells = [statistics.ZHIHU[name] for name in names]
            lines.append(f"{'  Zhihu':8}" + "".join(f"{cell:>9,.0f}" for cell in cells))
    lines.append("")
    for name, value in figures.items():
        if " degree " not in name:
            line = f"{'none' if value is None else f'{value:.3f}':>9}  {name}"
            lines.append(f"{line:52} Zhihu {zhihu_figure(name)}" if show_zhihu else line)
    lines.append("")
    lines.append("share of the items in a user's intermediate region, walk definition:")
    lines += [
        f"  {name}: {each['mean']:.1%} on average (5%-95% of users: {each['p5']:.1%}-"
        f"{each['p95']:.1%})"
        for name, each in about["region_coverage"].items()
    ]
    return "\n".join(lines)


def zhihu_figure(name: str) -> str:
    """Return the value of a statistic on Zhihu as text; AUCs are target ranges."""
    known = statistics.ZHIHU.get(name)
    return statistics.AUC_TARGETS.get(name, "") if known is None else f"{known:.3f}"
