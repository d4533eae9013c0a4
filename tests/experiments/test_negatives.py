"""The table and the picture of what the negatives were, against values computed by hand."""

import csv
import math
from itertools import combinations

import pytest
from matplotlib.figure import Figure

from recns_tf.config.config import Config
from recns_tf.experiments import figures, negatives, write_negatives
from recns_tf.experiments.cells import Cell
from recns_tf.experiments.results import Line
from tests.experiments.worlds import METRICS, epoch, finish


def statistics_of(false, exposed, popularity, positive, negative, sampling):
    return {
        "false_negatives": false, "exposed_negatives": exposed, "negative_popularity": popularity,
        "positive_score": positive, "negative_score": negative, "sampling_seconds": sampling,
    }  # fmt: skip


UNINS = [
    # The first epoch compiles; the second one is best.
    epoch(1, seconds=90.0, **statistics_of(0.9, 0.9, 90, 1, 0.9, 80)),
    epoch(2, seconds=2.0, **statistics_of(0.01, 0.25, 30, 4, 1, 0.5)),
    epoch(3, seconds=4.0, **statistics_of(0.8, 0.8, 80, 1, 0.8, 0.4)),
    epoch(4, seconds=3.0, **statistics_of(0.8, 0.8, 80, 1, 0.8, 0.3)),
]
OTHER = [
    epoch(1, seconds=9.0, **statistics_of(0.5, 0.5, 5, 1, 0.5, 3)),
    epoch(2, seconds=6.0, **statistics_of(0.1, 0.05, 50, 2, 1.5, 3)),
]
AGAIN = [
    epoch(1, seconds=9.0, **statistics_of(0.5, 0.5, 5, 1, 0.5, 3)),
    epoch(2, seconds=12.0, **statistics_of(0.2, 0.15, 70, 2, 2.0, 9)),
]


@pytest.fixture
def made(tmp_path):
    """Return a function that writes the runs of a sampler, and returns their line."""

    def of(sampler, recalls, runs, encoder="lightgcn", best_epoch=2):
        found = []
        for seed, (recall, rows) in enumerate(zip(recalls, runs, strict=True)):
            config = Config(encoder=encoder, sampler=sampler, seed=seed)
            cell = Cell(f"{encoder}-{sampler}-{seed}", config)
            finish(cell, tmp_path, rows=rows)
            test = dict.fromkeys(METRICS, recall)
            found.append((cell, {"test": test, "best_epoch": best_epoch}))
        return Line(encoder, sampler, sampler, found, {"recall@20": 0.5})

    return of


@pytest.fixture
def lines(made):
    return [
        made("unins", [0.2], [UNINS]),
        made("popns", [], []),
        made("dns", [0.3, 0.4], [OTHER, AGAIN]),
        made("dns", [0.1], [OTHER], encoder="ngcf"),
    ]


def test_table_has_means_at_the_best_epoch_the_best_sampler_first(lines, tmp_path):
    assert negatives.table(negatives.describe(lines, tmp_path)) == [
        "| encoder | sampler | Recall@20, % | false negatives, % | exposed negatives, % "
        "| popularity, users | score ratio | sampling, % of an epoch | epoch, unins = 1 |",
        "|---|---|---|---|---|---|---|---|---|",
        # Ratios 1.5/2 and 2/2, shares 3/6 and 9/12, and 6 and 12 seconds over the 3 of UniNS.
        "| lightgcn | dns | 35.00 ± 7.07 | 15.00 | 10.00 | 60.0 | 0.88 | 62.5 | 3.00 |",
        # The median of 2, 4 and 3 seconds; of .5/2, .4/4 and .3/3.
        "| lightgcn | unins | 20.00 | 1.00 | 25.00 | 30.0 | 0.25 | 10.0 | 1.00 |",
        "| lightgcn | popns | — | — | — | — | — | — | — |",
        "| ngcf | dns | 10.00 | 10.00 | 5.00 | 50.0 | 0.75 | 50.0 | — |",
    ]


def test_csv_has_fractions_and_deviations_over_seeds(lines, tmp_path):
    rows = negatives.csv_rows(negatives.describe(lines, tmp_path))
    assert len(rows) == 4 * 6 and set(rows[0]) == set(negatives.COLUMNS)
    found = {(row["encoder"], row["sampler"], row["quantity"]): row for row in rows}
    false = found["lightgcn", "dns", "false_negatives"]
    assert false["seeds"] == 2 and false["mean"] == pytest.approx(0.15)
    # The sample standard deviation of .1 and .2 is .1 / √2.
    assert false["standard_deviation"] == pytest.approx(0.1 / math.sqrt(2))
    relative = found["lightgcn", "dns", "relative_seconds"]
    assert relative["mean"] == 3 and relative["standard_deviation"] == pytest.approx(math.sqrt(2))
    single = found["lightgcn", "unins", "score_ratio"]
    assert (single["seeds"], single["mean"], single["standard_deviation"]) == (1, 0.25, "")
    missing = found["lightgcn", "popns", "score_ratio"]
    assert (missing["seeds"], missing["mean"]) == (0, "")


def test_scores_have_no_ratio_unless_positives_score_above_zero():
    rows = [epoch(1, positive_score=score, negative_score=-0.5) for score in (2, 0, -1)]
    assert negatives.measure(rows[:1], 1)["score_ratio"] == -0.25
    for row in rows[1:]:
        assert "score_ratio" not in negatives.measure([row], 1)


def test_a_single_epoch_is_described_by_itself():
    found = negatives.measure(UNINS[:1], 1)
    assert (found["seconds"], found["sampling_share"]) == (90, pytest.approx(80 / 90))
    assert found["false_negatives"] == 0.9


def test_runs_that_lack_a_quantity_have_no_mean_of_it(made, tmp_path):
    """Runs of earlier versions recorded less, and a mean over some of the seeds would mislead."""
    old = [epoch(1), epoch(2, false_negatives=0.3)]
    (row,) = negatives.describe([made("unins", [0.2, 0.2], [UNINS, old])], tmp_path)
    assert row.values["false_negatives"] == [0.01, 0.3]
    assert row.values["relative_seconds"] == [3 / 2.5, 2 / 2.5]
    for name in ("exposed_negatives", "negative_popularity", "score_ratio", "sampling_share"):
        assert row.values[name] == []
    (row,) = negatives.describe([made("dns", [0.2], [[]])], tmp_path)
    assert not any(row.values.values())


def test_picture_has_a_panel_for_each_quantity_and_a_row_for_each_encoder(
    lines, tmp_path, monkeypatch
):
    saved = {}
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: saved.update({path: figure}))
    write_negatives.plot(negatives.describe(lines, tmp_path), "Table 2", tmp_path / "negatives")
    figure: Figure = saved[tmp_path / "negatives"]
    assert len(figure.axes) == 14
    first = figure.axes[:7]
    assert [axes.get_title() for axes in first] == [
        "test Recall@20, %", "false negatives, %", "exposed negatives, %", "popularity, users",
        "score ratio", "sampling, % of an epoch", "epoch, unins = 1",
    ]  # fmt: skip
    labels = [text.get_text() for text in first[0].get_yticklabels()]
    assert labels == ["dns", "unins"], "the best is drawn at the top, as the axis is inverted"
    assert first[0].get_ylim()[0] > first[0].get_ylim()[1]
    widths = [[bar.get_width() for bar in axes.patches] for axes in first]
    expected = [[35, 20], [15, 1], [10, 25], [60, 30], [0.875, 0.25], [62.5, 10]]
    assert widths[:6] == [pytest.approx(values) for values in expected]
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in first[6].patches]
    assert ends == [(1, 3), (1, 1)] and first[6].get_xscale() == "log"
    assert [axes.get_ylabel() for axes in figure.axes[::7]] == ["lightgcn", "ngcf"]
    (bar,) = figure.axes[13].patches
    assert math.isnan(bar.get_width()), "NGCF has no run of UniNS"


def test_samplers_are_plotted_over_their_false_negatives(lines, tmp_path, monkeypatch):
    saved = {}
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: saved.update({path: figure}))
    described = negatives.describe(lines, tmp_path)
    write_negatives.plot_false_negatives(described, "Table 2", tmp_path / "x")
    first, second = saved[tmp_path / "x"].axes
    assert {text.get_text(): text.xy for text in first.texts} == {
        "unins": (pytest.approx(1), pytest.approx(20)),
        "dns": (pytest.approx(15), pytest.approx(35)),
    }, "a sampler without runs has no point"
    assert [text.xy for text in second.texts] == [(pytest.approx(10), pytest.approx(10))]
    assert (first.get_title(), second.get_title()) == ("lightgcn", "ngcf")


def test_labels_of_points_do_not_cover_one_another():
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    # Three points at almost one place, and one far away.
    points = [(0.0, 0.0), (0.001, 0.001), (0.0, 0.002), (1.0, 1.0)]
    axes.scatter(*zip(*points, strict=True))
    figures.label_points(axes, points, ["unins", "recns", "recns-o", "dns"])
    figure.draw_without_rendering()
    places = {text.get_text(): text.get_window_extent() for text in axes.texts}
    for one, other in combinations(places.values(), 2):
        assert not one.overlaps(other)
    heights = {name: place.y0 for name, place in places.items()}
    assert sorted(heights, key=heights.get) == ["unins", "recns", "recns-o", "dns"]
    offsets = {text.get_text(): text.xyann for text in axes.texts}
    assert offsets["dns"] == offsets["recns-o"] == (5, 4), "no label moves without need"


@pytest.mark.parametrize(
    ("end", "ticks"), [(4.5, ["1", "3"]), (200, ["1", "3", "10", "30", "100"])]
)
def test_a_logarithmic_axis_has_labels_below_ten_too(end, ticks):
    axes = Figure().subplots()
    axes.plot([1, end], [0, 1])
    figures.set_log_scale(axes)
    axes.set_xlim(1, end)
    axes.figure.draw_without_rendering()
    low, high = axes.get_xlim()
    shown = [
        label.get_text()
        for place, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
        if low <= place <= high
    ]
    assert shown == ticks


@pytest.mark.slow
def test_files_are_written(lines, tmp_path):
    names = write_negatives.write(lines, "Table 2: ml-100k", tmp_path, tmp_path / "out")
    assert names == [
        "negatives.md", "negatives.csv", "negatives.png", "negatives.svg",
        "false_negatives.png", "false_negatives.svg",
    ]  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    text = (tmp_path / "out" / "negatives.md").read_text()
    assert text.startswith("# Negatives: Table 2: ml-100k\n\nMeans over seeds")
    assert text.endswith("| ngcf | dns | 10.00 | 10.00 | 5.00 | 50.0 | 0.75 | 50.0 | — |\n")
    with (tmp_path / "out" / "negatives.csv").open(newline="") as file:
        assert next(csv.reader(file)) == list(negatives.COLUMNS)
    assert (tmp_path / "out" / "negatives.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_without_finished_runs_there_is_a_table_without_numbers(made, tmp_path):
    names = write_negatives.write([made("unins", [], [])], "x", tmp_path, tmp_path)
    assert "| lightgcn | unins | — |" in (tmp_path / "negatives.md").read_text()
    assert all((tmp_path / name).exists() for name in names)
