"""The page on a set of runs: its content, its HTML, and its layout in Chromium."""

import copy
import json
import re
import shutil
import statistics
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from recns_tf.baselines.settings import BaselineSettings
from recns_tf.commands import baseline
from recns_tf.config.config import Config, Workspace
from recns_tf.evaluation import ranking
from recns_tf.reporting import charts, rendering
from recns_tf.reporting.page import Report, build_page
from recns_tf.reporting.runs import read_runs
from tests.reporting import worlds

ROOT = Path(__file__).resolve().parent.parent.parent
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
VOID = {"meta", "path", "circle"}
HOSTILE = "<script>alert('x')</script>\"&"


class Reader(HTMLParser):
    """Checks that elements are closed in order; collects ids, links, texts and fetched files."""

    def __init__(self, page):
        super().__init__()
        self.open, self.ids, self.links, self.texts, self.fetched = [], [], [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values["href"]] if tag == "a" else []
        self.fetched += [values[key] for key in ("src", "srcset", "data") if key in values]
        self.fetched += [tag] if tag in ("link", "img", "iframe", "use", "image") else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data.strip())

    def rows(self):
        return [text for text in self.texts if text]


@pytest.fixture(scope="module", autouse=True)
def draw_equal_charts_once():
    """Spare most of the time: the pages of these tests share nearly all charts."""
    drawn = {}

    def draw(chart):
        key = repr(chart)
        drawn[key] = drawn.get(key) or charts.draw(chart)
        return drawn[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(rendering.ENVIRONMENT.filters, "draw", draw)
        yield


@pytest.fixture
def place(tmp_path):
    """Two finished seeds, another sampler unfinished, a damaged one, a baseline; and the data."""
    data = worlds.load(tmp_path / "data")
    runs = tmp_path / "runs"
    worlds.write_run(runs / "a", data)
    worlds.write_run(runs / "b", data, seed=1)
    worlds.write_run(runs / "c", data, sampler="unins", finished=False)
    (worlds.write_run(runs / "d", data, sampler="dns", margin=0.2) / "results.json").write_text("{")
    (runs / "note.txt").write_text("no run")
    settings = BaselineSettings(ease_l2="10,100")
    config = Config(**worlds.SETTINGS)
    baseline.fit_and_evaluate("ease", config, settings, Workspace(runs_dir=str(runs)), data)
    return tmp_path


def write(place, **settings):
    """Return the page on all runs, and the notes on problems."""
    runs, notes = read_runs(sorted((place / "runs").iterdir()))
    data = {"data_dir": str(place / "data")}
    return build_page(runs, notes, Report(**data | settings)), notes


@pytest.mark.slow
def test_page_is_self_contained(place):
    page, notes = write(place)
    reader = Reader(page)
    assert not reader.fetched and not re.search(r"https?:|url\(|@import", page)
    assert len(set(reader.ids)) == len(reader.ids)
    assert [link.removeprefix("#") for link in reader.links] == reader.ids
    sections = "results metrics curves samplers regions slices settings provenance runs"
    assert reader.ids == sections.split()
    assert len(notes) == 2
    for note in notes:
        assert note in reader.texts
    assert "5 runs, 3 of them finished, in 4 groups" in page


def test_means_and_deviations_are_over_seeds(place):
    page, _ = write(place)
    tests = [
        json.loads((place / "runs" / name / "results.json").read_text())["test"]
        for name in ("a", "b")
    ]
    text = Reader(page).texts
    for metric in ("recall@20", "ndcg@20", "hr@20"):
        values = [test[metric] for test in tests]
        assert f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}" in text
    assert "0.1405 ± 0.0007" in text, "valid Recall@20 of epoch 4"
    assert "0 of 1" in text and "2 of 2" in text
    assert "0123456789+" in text


def test_every_number_of_an_epoch_has_a_chart(place):
    page, _ = write(place)
    titles = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    for title in (
        "validation Recall@20",
        "training loss, with its penalty",
        "share of false negatives (held-out positives)",
        "hardness",
        "seconds per epoch",
        "test Recall@20 of users, by their train items",
    ):
        assert titles.count(title) == 1
    chart = page.split("<figcaption>validation NDCG@20")[1].split("</figure>")[0]
    assert chart.count('class="line"') == 4, "two seeds, the unfinished and the damaged run"
    assert "lightgcn recns, seed 1" in chart


@pytest.mark.slow
def test_a_note_explains_missing_slices(place):
    for run in ("a", "b"):
        path = place / "runs" / run / "config.json"
        path.write_text(path.read_text().replace('"synthetic"', '"shop"'))
    page, _ = write(place)
    assert "Recall by group is left out for a, b:" in page and "shop is not there." in page
    config = json.loads((place / "runs" / "a" / "config.json").read_text())
    config |= {"dataset": "synthetic", "data_checksum": "f" * 64}
    (place / "runs" / "a" / "config.json").write_text(json.dumps(config))
    assert "synthetic is not the data that the run was trained on" in write(place)[0]
    assert "of users, by their train items" not in write(place, groups=0)[0]


def test_lists_that_do_not_reproduce_the_recorded_recall_are_left_out(place):
    path = place / "runs" / "a" / "results.json"
    results = json.loads(path.read_text())
    results["test"]["recall@20"] += 0.01
    path.write_text(json.dumps(results))
    assert "left out for a: the lists do not reproduce the test Recall@20" in write(place)[0]


def test_runs_that_chose_their_epoch_on_the_test_set_are_named(place):
    assert "chosen on the test set" not in write(place, groups=0)[0]
    path = place / "runs" / "c" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"validate_on": "test"}))
    assert "c: the best epoch was chosen on the test set" in write(place, groups=0)[0]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"keep": "last"}))
    page = write(place, groups=0)[0]
    assert "c: when to stop was decided on the test set" in page
    assert "the best epoch was chosen on" not in page


def change(folder, name, **changes):
    """Change the content of a JSON file of a run."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_all_recorded_metrics_have_a_table(place):
    page, _ = write(place, groups=0)
    section = page.split('<section id="metrics"')[1].split("</section>")[0]
    texts = Reader(section).rows()
    heads = ["Recall", "NDCG", "HR", "Precision", "MRR", "MAP", "Coverage", "Gini", "Popularity"]
    assert texts[texts.index("Recall@20") :][:9] == [f"{head}@20" for head in heads]
    tests = [
        json.loads((place / "runs" / name / "results.json").read_text())["test"]
        for name in ("a", "b")
    ]
    for metric in ("precision@20", "gini@20"):
        values = [test[metric] for test in tests]
        assert f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}" in texts


def test_a_run_of_an_earlier_version_is_not_averaged_in_silently(place):
    test = json.loads((place / "runs" / "a" / "results.json").read_text())["test"]
    names = ("recall@20", "ndcg@20", "hr@20")
    change(place / "runs" / "a", "results.json", test={name: test[name] for name in names})
    texts = Reader(write(place, groups=0)[0]).texts
    other = json.loads((place / "runs" / "b" / "results.json").read_text())["test"]
    assert f"{other['map@20']:.4f} (1 of 2 runs)" in texts


@pytest.mark.slow
def test_the_best_epoch_is_that_of_the_selection_metric(place):
    """The unfinished run's Recall rises, and its NDCG is best in epoch 2."""
    folder = place / "runs" / "c"
    change(folder, "config.json", topk="5,20", select_by="ndcg@5")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row in lines:
        row["valid"]["ndcg@5"] = 0.7 if row["epoch"] == 2 else 0.6
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    page, _ = write(place, groups=0)
    texts = Reader(page).rows()
    row = texts[texts.index("c") :]
    assert row[2:8] == ["unfinished", "NDCG@5", "0", "4", "2", "0.7000"]
    assert "valid NDCG@5" in texts and "valid Recall@20" in texts
    assert "<figcaption>validation NDCG@5<" in page


@pytest.mark.slow
def test_groups_are_compared_at_the_largest_k_that_all_have(place):
    data = worlds.load(place / "data")
    folder = worlds.write_run(place / "runs" / "wide", data, sampler="srns", topk="20,40")
    user, item = (np.load(folder / "embeddings" / f"{name}.npy") for name in ("user", "item"))
    wide = ranking.evaluate(user, item, data.test, data.train + data.valid, [20, 40])
    change(folder, "results.json", test=wide)
    page, _ = write(place)
    texts = Reader(page).texts
    assert "Recall@20 ± deviation" in texts and "test Recall@40" in texts
    assert "test Recall@20 of users, by their train items" in page and "left out for" not in page
    for path in (place / "runs").iterdir():
        if path.name != "wide" and path.is_dir():
            shutil.rmtree(path)
    page, _ = write(place)
    assert "test Recall@40 of users, by their train items" in page and "left out for" not in page


def test_cold_and_saturated_users_are_named(place):
    test = json.loads((place / "runs" / "a" / "results.json").read_text())["test"]
    counts = {"users": 50, "cold_users": 20, "saturated_users@20": 26, "median_unseen_items": 12}
    for name in ("a", "b"):
        change(place / "runs" / name, "results.json", test=test | counts)
    page, _ = write(place, groups=0)
    texts = Reader(page).texts
    assert any(
        text.startswith("a, b: 20 of 50 tested users have no train positive: their embeddings")
        for text in texts
    )
    assert any("26 of 50 tested users have at most 20 unseen" in text for text in texts)
    assert not any("nothing is known" in text for text in texts), "the baseline has no cold user"


def test_a_run_whose_selection_metric_is_illegal_is_left_out(place):
    change(place / "runs" / "c", "config.json", select_by="ndcg@7")
    runs, notes = read_runs(sorted((place / "runs").iterdir()))
    assert "c" not in [run.path.name for run in runs]
    assert any("c/config.json is damaged: --topk or --select_by is wrong." in n for n in notes)


@pytest.mark.slow
def test_slices_use_the_ranking_depth_of_the_run(place):
    """A truncated search, as in the authors' code, finds fewer test items."""
    data = worlds.load(place / "data")
    folder = worlds.write_run(place / "runs" / "deep", data, seed=7, ranking_depth=25)
    user, item = (np.load(folder / "embeddings" / f"{name}.npy") for name in ("user", "item"))
    seen = data.train + data.valid
    exact = json.loads((folder / "results.json").read_text())
    short = ranking.evaluate(user, item, data.test, seen, depth=25)
    assert short["recall@20"] < exact["test"]["recall@20"] - 0.01
    assert "left out for deep" in write(place)[0]
    (folder / "results.json").write_text(json.dumps(exact | {"test": short}))
    assert "left out for" not in write(place)[0]


@pytest.mark.slow
def test_markup_in_names_is_escaped(place):
    data = worlds.load(place / "data")
    hostile = worlds.write_run(
        place / "runs" / "<b>x", data, sampler=HOSTILE, dataset=HOSTILE, finished=True
    )
    with (hostile / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"epoch": 9, HOSTILE: 1.0}) + "\n")
    worlds.write_run(place / "runs" / "<script>", data, dataset="../../x")
    page, _ = write(place)
    Reader(page)
    assert "<script>alert" not in page and "<b>x" not in page
    assert page.count("<script>") == 1
    assert "for &lt;script&gt;: &#39;../../x&#39; is not the name of a dataset." in page


def files(folder):
    return sorted(folder.rglob("*"))


@pytest.mark.slow
def test_a_report_writes_and_reads_nothing_outside(place):
    """A dataset with a path in its name, although a folder with the data is there."""
    data = worlds.load(place / "data")
    for run in ("a", "b", "synthetic-ease"):
        shutil.rmtree(place / "runs" / run)
    worlds.write_run(place / "runs" / "<script>", data, dataset="../other/synthetic")
    shutil.copytree(place / "data", place / "other")
    before = files(place)
    page, _ = write(place)
    assert "of users, by their train items" not in page
    shutil.rmtree(place / "data")
    assert "is not the name of a dataset" in write(place)[0]
    assert files(place) == [path for path in before if place / "data" not in [path, *path.parents]]


@pytest.mark.slow
def test_lists_of_a_hostile_length_are_not_computed(place):
    for name in ("a", "b"):
        change(place / "runs" / name, "results.json", test={"recall@999999999": 0.5})
    for path in (place / "runs").glob("*ease*"):
        shutil.rmtree(path)
    page, _ = write(place)
    assert "left out for a, b: lists of 999,999,999 items are longer than 1000." in page


@pytest.mark.slow
def test_any_field_may_be_missing_or_of_another_type(place):
    """Whatever is wrong with one field of an old or damaged run, the page is valid HTML."""
    path = place / "runs" / "a" / "results.json"
    results = json.loads(path.read_text())
    places = [(key,) for key in results] + [
        (key, inner)
        for key in ("test", "valid", "region", "data", "negatives", "versions")
        for inner in results[key]
    ]
    others = [path for path in (place / "runs").iterdir() if path.name not in ("a", "b")]
    for other in others:
        shutil.rmtree(other) if other.is_dir() else other.unlink()
    for keys in places:
        for value in ("missing", None, "x", []):
            changed = copy.deepcopy(results)
            inside = changed if len(keys) == 1 else changed[keys[0]]
            if value == "missing":
                del inside[keys[-1]]
            else:
                inside[keys[-1]] = value
            path.write_text(json.dumps(changed))
            Reader(write(place, groups=0)[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        {},
        {"valid": None},
        {"valid": {"recall@20": "x"}},
        {"loss": None, "hardness": "x", "new": [1]},
        {"loss": float("nan"), "valid": {"recall@20": float("inf")}},
        {"epoch": 3},
    ],
)
def test_rows_may_lack_everything_except_their_epoch(place, line):
    for name in ("a", "c"):
        with (place / "runs" / name / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"epoch": 5} | line) + "\n")
    page, _ = write(place, groups=0)
    Reader(page)
    assert "nan" not in page.split("<section")[2], "no point without a number"


def command(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "recns_tf", "report", *map(str, arguments)],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_command_writes_the_page(place):
    done = command(*sorted((place / "runs").iterdir()), cwd=place)
    assert done.returncode == 0, done.stderr
    assert "5 runs." in done.stdout and "note.txt is not the folder of a run" in done.stderr
    page = (place / "report.html").read_text(encoding="utf-8")
    assert "of users, by their train items" in page
    assert page == write(place)[0], "the page depends only on the runs"


@pytest.mark.slow
def test_wrong_arguments_are_errors_of_one_line():
    for arguments, sentence in (
        (
            [],
            "at least one word is needed, RUN…, not 0: for example",
        ),
        (["x", "--output=x.json"], "--output=x.json: choose a file name that ends in .html"),
    ):
        done = command(*arguments, cwd=ROOT)
        assert done.returncode == 1 and sentence in done.stderr
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.skipif(not Path("/sys").is_dir(), reason="no folder in which nobody can write")
def test_a_page_that_cannot_be_written_is_named(place):
    done = command(place / "runs" / "a", "--output=/sys/page.html", cwd=place)
    assert done.returncode == 1 and ": /sys/page.html: " in done.stderr.splitlines()[-1]


PROBE = """<script>
const wide = document.documentElement.scrollWidth <= window.innerWidth;
document.querySelector(".legend button").click();
const lines = [...document.querySelectorAll("#curves .line")];
const dim = lines.filter(line => getComputedStyle(line).opacity < 0.5).length;
const chart = document.querySelector("#curves svg[role=img]").getBoundingClientRect();
document.body.innerHTML =
  `<p>fits ${wide}, dimmed ${dim} of ${lines.length}, chart ${chart.width > 200}</p>`;
</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize("width", [360, 1280])
def test_page_fits_the_screen_and_its_legend_works(place, width):
    """An iframe has the width of the screen: windows of Chromium cannot be that narrow."""
    page, _ = write(place)
    (place / "inner.html").write_text(page.replace("</body>", PROBE), encoding="utf-8")
    frame = (
        f'<iframe id="f" src="inner.html" style="width:{width}px;height:800px"></iframe><script>'
        "f.onload = () => document.body.append(f.contentDocument.body.innerText)</script>"
    )
    (place / "outer.html").write_text(f"<!doctype html><body>{frame}</body>", encoding="utf-8")
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
            "--allow-file-access-from-files", f"--user-data-dir={place / 'profile'}",
            "--virtual-time-budget=5000", (place / "outer.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    # Four lines per chart; the legend entry of the group with two seeds is pressed.
    found = re.search(r"fits (\w+), dimmed (\d+) of (\d+), chart (\w+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert found[1] == found[4] == "true"
    assert int(found[2]) == int(found[3]) // 2 > 0


def test_recorded_warnings_are_shown(place):
    change(place / "runs" / "a", "results.json", warnings=["The loss reached 2e+06 <b>.", 3])
    change(place / "runs" / "b", "results.json", warnings="x")
    page, _ = write(place, groups=0)
    texts = Reader(page).texts
    assert "a: The loss reached 2e+06 <b>." in texts and "a: 3" in texts
    assert not any(text.startswith("b: ") for text in texts)
