"""Tables of synthetic results against precomputed values."""

import csv
import json
import math

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from recns_tf.evaluation.crossed_test import crossed_t
from recns_tf.evaluation.significance import format_p_value, holm
from recns_tf.experiments import figures, results, significance_tables, tables
from tests.experiments.worlds import line

PAPER = {"table": "2", "recall@20": 0.0491, "ndcg@20": 0.0555, "hr@20": 0.5537}
LINES = [
    line("dns", 0.10, 0.12),
    line("recns", 0.20, 0.22, paper=PAPER),
    line("srns", 0.15),
    line("popns"),
    line("dns", 0.3, encoder="ngcf"),
]


def test_ranks_and_deviations_within_an_encoder():
    assert tables.ranks(LINES, "recall@20") == [3, 1, 2, 0, 1]
    assert tables.ranks(LINES, "hr@20") == [1, 1, 1, 0, 1], "equal means share a rank"
    # The sample standard deviation of .20 and .22 is .02 / √2.
    assert tables.cells(LINES)[:4] == [
        ["11.00 ± 1.41", "5.50 ± 0.71", "**50.00 ± 0.00**"],
        ["**21.00 ± 1.41** (4.91)", "**10.50 ± 0.71** (5.55)", "**50.00 ± 0.00** (55.37)"],
        ["<u>15.00</u>", "<u>7.50</u>", "**50.00**"],
        ["—", "—", "—"],
    ]


def test_table_layouts():
    wide = tables.by_value(LINES, "sampler")
    heads = "| sampler | lightgcn Recall@20 | lightgcn NDCG@20 | lightgcn HR@20 | ngcf Recall@20 |"
    assert wide[0].startswith(heads)
    assert wide[2] == (
        "| dns | 11.00 ± 1.41 | 5.50 ± 0.71 | **50.00 ± 0.00** "
        "| **30.00** | **15.00** | **50.00** |"
    )
    assert wide[5] == "| popns | — | — | — | — | — | — |" and len(wide) == 6
    assert tables.by_encoder(LINES, "khop")[0] == "| encoder | khop | Recall@20 | NDCG@20 | HR@20 |"
    long = tables.by_encoder(LINES, "sampler")
    assert long[2].startswith("| lightgcn | dns | 11.00") and len(long) == 7
    turned = tables.by_value_and_encoder(LINES, "L")
    assert [row.split(" | ")[:2] for row in turned[2:4]] == [
        ["| dns", "lightgcn"],
        ["| dns", "ngcf"],
    ]


def test_csv_holds_fractions_of_every_metric(tmp_path):
    results.write_csv(
        tmp_path / "t.csv", tables.COLUMNS, tables.csv_rows("k = 1", "sampler", LINES)
    )
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 15
    assert rows[1] == {
        "panel": "k = 1", "encoder": "lightgcn", "setting": "sampler", "value": "recns",
        "metric": "recall@20", "seeds": "2", "mean": str((0.2 + 0.22) / 2),
        "standard_deviation": rows[1]["standard_deviation"],
        "rank": "1", "paper": "0.0491",
    }  # fmt: skip
    assert math.isclose(float(rows[1]["standard_deviation"]), 0.02 / math.sqrt(2))
    assert rows[3]["mean"] == rows[3]["rank"] == "" and rows[2]["standard_deviation"] == ""


@pytest.fixture
def per_user():
    """Metrics of 50 users by run, with noise that all runs share."""
    noise = np.random.default_rng(0).normal(size=50)

    def of(cell):
        _, value, seed = cell.name.split("-")
        better = {"recns": 0.2, "dns": 0.0, "srns": 0.1}[value]
        own = np.sin(np.arange(50) * (1 + int(seed) + len(value)))
        values = better + noise + 0.01 * own
        return dict.fromkeys(("recall@20", "ndcg@20", "hr@20"), values)

    return of


def test_reference_is_compared_with_the_best_other_of_its_encoder(per_user):
    found = significance_tables.compare(LINES, "recns", per_user)
    assert [each.metric for each in found] == ["recall@20", "ndcg@20", "hr@20"]
    first = found[0]
    assert (first.encoder, first.value, first.other, first.users) == (
        "lightgcn",
        "recns",
        "srns",
        50,
    )
    assert first.gain == pytest.approx(0.21 / 0.15 - 1)
    assert first.difference == pytest.approx(0.06)
    assert first.t_test < 1e-10 and first.wilcoxon < 1e-6
    (row, *_) = significance_tables.markdown(found, "best other")[2:]
    assert row == (
        "| lightgcn | Recall@20 | recns | srns | +40.00% | +6.00 | < 0.0001 | < 0.0001 | — |"
    ), "srns has one seed"
    assert significance_tables.compare(LINES, "simns", per_user) == []
    assert significance_tables.compare(LINES[1:2], "recns", per_user) == []


def test_p_values_are_adjusted_over_the_table(per_user):
    """By Holm's method, three equal p values become three times as large."""
    found = significance_tables.compare([LINES[1], LINES[0]], "recns", per_user)
    one, other = (
        np.mean([per_user(cell)["recall@20"] for cell, _ in each.runs], axis=0)
        for each in (LINES[1], LINES[0])
    )
    difference = one - other
    statistic = difference.mean() / (difference.std(ddof=1) / math.sqrt(50))
    assert found[0].other == "dns" and statistic > 10
    assert found[0].t_test == pytest.approx(3 * stats.ttest_rel(one, other).pvalue)
    paired = [
        per_user(ours)["recall@20"] - per_user(theirs)["recall@20"]
        for (ours, _), (theirs, _) in zip(LINES[1].runs, LINES[0].runs, strict=True)
    ]
    assert found[0].seeds_and_users == pytest.approx(3 * crossed_t(paired).p_value)
    assert significance_tables.markdown(found, "best other")[2].endswith(
        f" | {format_p_value(found[0].seeds_and_users)} |"
    )


def test_every_pair_of_an_encoder_is_a_family(per_user):
    """Three pairs per metric, the higher mean first; Holm counts the pairs of one metric alone."""
    lines = [*LINES[:2], line("srns", 0.15, 0.17), *LINES[3:]]
    found = significance_tables.compare_pairs(lines, per_user)
    assert {each.encoder for each in found} == {"lightgcn"}, "ngcf has a single line"
    pairs = [("recns", "srns"), ("recns", "dns"), ("srns", "dns")]
    by_metric = {
        metric: [(each.value, each.other) for each in found if each.metric == metric]
        for metric in ("recall@20", "ndcg@20", "hr@20")
    }
    assert by_metric["recall@20"] == pairs and by_metric["ndcg@20"] == pairs
    # Equal means keep the order of the table.
    assert by_metric["hr@20"] == [("dns", "recns"), ("dns", "srns"), ("recns", "srns")]

    def runs(value):
        (found,) = (each for each in lines if each.value == value and each.encoder == "lightgcn")
        return [per_user(cell)["recall@20"] for cell, _ in found.runs]

    unadjusted = [
        crossed_t(np.subtract(runs(first), runs(second))).p_value for first, second in pairs
    ]
    expected = holm(unadjusted)
    assert [each.seeds_and_users for each in found[:3]] == pytest.approx(expected.tolist())
    assert [each.difference for each in found[:3]] == pytest.approx([0.05, 0.10, 0.05])
    (row, *_) = significance_tables.markdown(found, "other")[2:]
    assert row.startswith("| lightgcn | Recall@20 | recns | srns | +31.25% | +5.00 |")
    assert significance_tables.markdown(found, "other")[0].startswith("| encoder | metric |  | oth")
    assert significance_tables.compare_pairs(LINES[3:], per_user) == []


def test_runs_are_paired_by_seed_and_others_left_out():
    """A line that lacks seed 0, or has its seeds in another order, changes no pair."""
    noise = np.random.default_rng(3).normal(size=(3, 50))

    def of(cell):
        _, value, seed = cell.name.split("-")
        own = np.random.default_rng(int(seed) + 7 * (value == "dns")).normal(size=50)
        # Runs of a seed share most of their noise, so that wrong pairs have larger differences.
        values = noise[int(seed)] + (0.1 if value == "recns" else 0.0) + 0.1 * own
        return dict.fromkeys(("recall@20", "ndcg@20", "hr@20"), values)

    ours, theirs = line("recns", 0.2, 0.2, 0.2), line("dns", 0.1, 0.1, 0.1)
    turned = theirs._replace(runs=[theirs.runs[2], theirs.runs[1]])
    (found, *_) = significance_tables.compare([ours, turned], "recns", of)
    right, wrong = (
        [of(ours.runs[a][0])["hr@20"] - of(theirs.runs[b][0])["hr@20"] for a, b in pairs]
        for pairs in (((1, 1), (2, 2)), ((1, 2), (2, 1)))
    )
    assert found.seeds == 2 and found.users == 50
    assert found.seeds_and_users == pytest.approx(min(1, 3 * crossed_t(right).p_value))
    assert abs(min(1, 3 * crossed_t(wrong).p_value) - found.seeds_and_users) > 0.01
    alone = theirs._replace(runs=theirs.runs[:1])
    (found, *_) = significance_tables.compare([turned._replace(value="x"), alone], "x", of)
    assert found.seeds == 0 and math.isnan(found.seeds_and_users) and found.t_test <= 1


@pytest.mark.parametrize(
    ("picture", "below", "in_legend"),
    [(figures.plot_lines, "sampler", ""), (figures.plot_bars, "encoder", "sampler")],
)
def test_plots_show_each_value_and_encoder(picture, below, in_legend, tmp_path):
    figure = Figure()
    axes = figure.subplots()
    picture(axes, LINES, "sampler", tmp_path)
    names = {text.get_text() for text in axes.get_legend().get_texts()}
    ticks = {text.get_text() for text in axes.get_xticklabels()}
    assert {"lightgcn", "ngcf"} <= names | ticks and {"dns", "recns", "srns"} <= names | ticks
    assert axes.get_ylabel() == "test Recall@20, %" and axes.get_xlabel() == below
    assert axes.get_legend().get_title().get_text() == in_legend
    figures.save_figure(figure, tmp_path / "picture")
    assert (tmp_path / "picture.png").stat().st_size and (tmp_path / "picture.svg").exists()


def test_curves_match_the_metrics_of_the_runs(tmp_path):
    (cell, _), (other, _) = LINES[0].runs
    for each, values in ((cell, (0.1, 0.2)), (other, (0.3, 0.4))):
        (tmp_path / each.name).mkdir()
        rows = [
            {"epoch": n, "loss": 0, "seconds": 1, "valid": {"recall@20": value}}
            for n, value in enumerate(values, 1)
        ]
        rows.append({"epoch": 3, "loss": 0, "seconds": 1})
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / each.name / "metrics.jsonl").write_text(text)
    axes = Figure().subplots()
    figures.plot_curves(axes, LINES[:1], "k", tmp_path)
    assert [list(drawn.get_ydata()) for drawn in axes.get_lines()] == [[10, 20], [30, 40]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["k = dns"]
    assert axes.get_ylabel() == "validation Recall@20, %"
