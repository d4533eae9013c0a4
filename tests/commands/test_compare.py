"""The command compare: embeddings of another program against a run."""

import csv
import dataclasses
import json
import pickle
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from recns_tf import datasets
from recns_tf.commands import app, compare
from recns_tf.comparison import comparison
from recns_tf.comparison.embedding_files import Embeddings, read_embeddings, read_run
from recns_tf.config.config import Config, Workspace
from recns_tf.errors import UserError
from recns_tf.evaluation import ranking
from recns_tf.interactions import make_interactions
from recns_tf.training.train import train_and_evaluate
from tests.commands.test_train import call

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = {"users": "embedding_u.npy", "items": "embedding_v.npy"}
PATHS = {name: Path(path) for name, path in FILES.items()}
SHUFFLED = PATHS | {"users": Path("shuffled_u.npy"), "items": Path("shuffled_v.npy")}
SHUFFLED |= {"user_ids": Path("user_ids.npy"), "item_ids": Path("item_ids.npy")}


def save(name, table):
    np.save(name, table, allow_pickle=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The data folder of synthetic-small, and the dataset."""
    folder = tmp_path_factory.mktemp("data")
    return folder, datasets.load(Config(dataset="synthetic-small"), folder)


@pytest.fixture(scope="module")
def tables(data):
    """Embeddings that fit the train pairs, so that seen items rank first."""
    train = data[1].train.astype(np.float32)
    users = train @ np.random.default_rng(0).normal(size=(2_000, 32)).astype(np.float32)
    users = np.linalg.qr(train @ (train.T @ users))[0]
    return Embeddings(users, train.T @ users)


@pytest.fixture
def place(tmp_path, monkeypatch, data, tables):
    """A folder with these embeddings, in the dataset's order, and shuffled with row ids."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    ids = data[1].user_ids, data[1].item_ids
    for kind, letter, table, its_ids in zip(("user", "item"), "uv", tables, ids, strict=True):
        save(f"embedding_{letter}.npy", table)
        order = rng.permutation(len(table))
        save(f"shuffled_{letter}.npy", table[order])
        save(f"{kind}_ids.npy", its_ids[order])
    return tmp_path


@pytest.fixture
def run_main(data, capsys):
    """A function that runs the command's main and returns its output."""

    def run(*words, **chosen):
        line = [*words, f"--data_dir={data[0]}", *(f"--{k}={v}" for k, v in chosen.items())]
        compare.main(app.parse(compare.COMMAND, line, "compare"))
        return capsys.readouterr().out

    return run


def mean_of(interactions, tables, masked, **mode):
    seen = {"train": interactions.train, "train and valid": interactions.train + interactions.valid}
    found = ranking.evaluate(
        *tables, interactions.test, seen[masked], train=interactions.train, **mode
    )
    return {name: pytest.approx(value) for name, value in found.items()}


@pytest.mark.slow
def test_documented_command_runs(place, data):
    """The command of docs/comparing.md, with embeddings in another row order."""
    text = (ROOT / "docs" / "comparing.md").read_text(encoding="utf-8")
    text = text.replace("\\\n", "")
    (line,) = re.findall(r"^\./run\.sh compare (synthetic-small .*)$", text, re.MULTILINE)
    for kind in "uv":
        Path(f"embedding_{kind}.npy").write_bytes(Path(f"shuffled_{kind}.npy").read_bytes())
    done = call(
        *(sys.executable, "-m", "recns_tf", "compare"),
        *(*shlex.split(line), f"--data_dir={data[0]}"),
        cwd=place, PYTHONPATH=str(ROOT),
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done.stderr
    folder = place / "comparisons" / "synthetic-small"
    assert {path.name for path in folder.iterdir()} == {
        "comparison.md", "results.json", "per_user.csv", "comparison.png"
    }  # fmt: skip
    assert (folder / "comparison.png").read_bytes().startswith(b"\x89PNG")
    table = (folder / "comparison.md").read_text()
    assert "| given | exact | train and valid | " in table and table.split("\n\n")[1] in done.stdout


@pytest.mark.slow
def test_results_of_every_mode_match_the_ranking(place, data, tables, run_main):
    said = run_main("synthetic-small", **FILES, depth="60,30")
    folder = place / "comparisons" / "synthetic-small"
    results = json.loads((folder / "results.json").read_text())
    modes = {(mode["masked"], mode["depth"]): mode for mode in results["ways"]}
    assert list(modes) == [(m, d) for m in ("train and valid", "train") for d in (0, 30, 60)]
    for (masked, depth), mode in modes.items():
        assert mode["test"] == mean_of(data[1], tables, masked, depth=depth)
    # Users whose train positives fill the first 30 places get short lists.
    cut = [modes["train", depth]["lists_cut_short"] for depth in (0, 60, 30)]
    assert cut[0] == 0 < cut[1] < cut[2]
    users = np.flatnonzero(np.diff(data[1].test.indptr))
    top = ranking.top_items(*tables, users, data[1].train, depth=30)
    assert cut[2] == (top[:, -1] == ranking.NO_ITEM).sum()
    assert f"| given | first 30 | train | {modes['train', 30]['test']['recall@20']:.4f} | " in said
    assert results["data"]["checksum"] == data[1].checksum

    rows = list(csv.DictReader((folder / "per_user.csv").open()))
    assert [row["user_id"] for row in rows] == [str(each) for each in data[1].user_ids[users]]
    column = "given, first 30, without train: recall@20"
    mean = np.mean([float(row[column]) for row in rows])
    assert mean == pytest.approx(modes["train", 30]["test"]["recall@20"])


@pytest.fixture(scope="module")
def run_folder(data, toy_config, tmp_path_factory):
    """The folder of a finished run on synthetic-small, and its results."""
    config = dataclasses.replace(toy_config, dataset="synthetic-small", epochs=1, batch_size=4096)
    place = Workspace(runs_dir=str(tmp_path_factory.mktemp("runs")), run_name="ours")
    return place.run_folder(config), train_and_evaluate(config, place, data[1])


@pytest.mark.slow
def test_comparison_with_a_run_reports_differences(place, data, tables, run_main, run_folder):
    folder, results = run_folder
    # The given embeddings are those of the run: there must be no difference in any mode.
    own = {name: str(folder / "embeddings" / f"{name[:-1]}.npy") for name in FILES}
    run_main("synthetic-small", **own, run=str(folder), output="same", depth="30")
    same = json.loads(Path("same/results.json").read_text())
    assert {mode["embeddings"] for mode in same["ways"]} == {"given", "ours"}
    exact = [mode for mode in same["ways"] if not mode["depth"] and mode["masked"] != "train"]
    for mode in exact:
        assert mode["test"] == {name: pytest.approx(each) for name, each in results["test"].items()}
    between = [each for each in same["differences"] if each["first"].startswith("ours")]
    between = [each for each in between if each["second"].startswith("given")]
    assert len(between) == 3 * 4 and {each["t_test"] for each in between} == {1.0}

    run_main("synthetic-small", **FILES, run=str(folder), output="other", depth="30")
    other = json.loads(Path("other/results.json").read_text())
    assert {mode["embeddings"] for mode in other["ways"]} == {"given", "ours"}
    first = other["differences"][0]
    assert first["first"] == "ours, exact, without train and valid"
    means = [mode["test"]["recall@20"] for mode in other["ways"] if not mode["depth"]]
    assert first["mean"] == pytest.approx(means[2] - means[0]) and first["mean"] != 0
    assert first["low"] < first["mean"] < first["high"] and first["metric"] == "recall@20"
    assert Path("other/comparison.png").stat().st_size > 10_000


@pytest.mark.slow
def test_every_metric_is_given_at_every_k(place, data, tables, run_main):
    said = run_main("synthetic-small", **FILES, depth="30", topk="5,40")
    folder = place / "comparisons" / "synthetic-small"
    results = json.loads((folder / "results.json").read_text())
    for mode in results["ways"]:
        expected = mean_of(data[1], tables, mode["masked"], depth=mode["depth"], k=[5, 40])
        assert mode["test"] == expected
    tested = [each["metric"] for each in results["differences"]]
    assert set(tested) == {f"{name}@{k}" for name in ("recall", "ndcg", "hr") for k in (5, 40)}
    head = next(line for line in said.splitlines() if line.startswith("| embeddings"))
    assert head.count("@5 ") == head.count("@40 ") == 9
    with (folder / "per_user.csv").open() as file:
        row = next(csv.DictReader(file))
    exact = [name for name in row if name.startswith("given, exact, without train and valid: ")]
    assert len(exact) == 12 and exact[-1].endswith(": map@40")


def ranked(values, depth=0, short=0):
    metrics = {name: np.asarray(values) for name in ("recall@20", "ndcg@20", "hr@20")}
    return comparison.Ranked("x", comparison.RankingMode(depth, "train"), metrics, short, {})


def test_p_values_are_adjusted_for_the_three_metrics():
    rng = np.random.default_rng(0)
    one, other = ranked(rng.random(40)), ranked(rng.random(40))
    shifts = {"recall@20": 0.05, "ndcg@20": 0.1, "hr@20": 0.15}
    one = one._replace(metrics={name: other.metrics[name] + shifts[name] + rng.normal(0, 0.3, 40)
                                for name in shifts})  # fmt: skip
    found = comparison.compare(one, other)
    raw = [
        comparison.significance.difference(one.metrics[name], other.metrics[name])
        for name in shifts
    ]
    assert [each.metric for each in found] == list(shifts)
    for test in ("t_test", "wilcoxon"):
        values = [getattr(each.difference, test) for each in found]
        before = sorted(getattr(each, test) for each in raw)
        assert sorted(values)[0] == pytest.approx(min(1, 3 * before[0]))
        assert sorted(values) != pytest.approx(before)


def test_truncated_search_is_tested_if_it_shortens_lists():
    exact, same, cut = ranked([0.5, 1.0]), ranked([0.5, 1.0], 500), ranked([0.0, 1.0], 200, 1)
    found = comparison.metric_differences([exact, cut, same], [])
    assert {(each.first, each.second) for each in found} == {
        ("x, first 200, without train", "x, exact, without train")
    }
    assert found[0].difference.mean == -0.25
    with pytest.raises(ValueError, match="longer"):
        comparison.metric_differences([exact, cut], [exact])


def test_users_are_grouped_by_degree():
    degrees, values = np.array([1, 1, 1, 2, 9, 9]), np.array([0.0, 0.3, 0.6, 1.0, 0.5, 0.7])
    where, means = comparison.by_degree(degrees, values, 2)
    assert where.tolist() == [1.0, 20 / 3]
    np.testing.assert_allclose(means, [0.3, 2.2 / 3])
    where, means = comparison.by_degree(np.array([4, 4]), np.array([0.0, 1.0]))
    assert where.tolist() == [4.0] and means.tolist() == [0.5]


def test_rows_are_aligned_with_the_dataset(place, data, tables):
    for table, again in zip(read_embeddings(data[1], PATHS), tables, strict=True):
        np.testing.assert_array_equal(again, table)
    # A row with an id that is not in the dataset is dropped.
    save("shuffled_u.npy", np.concatenate([np.load("shuffled_u.npy"), np.full((1, 32), 9)]))
    save("user_ids.npy", np.concatenate([np.load("user_ids.npy"), [123_456]]).astype(str))
    for table, again in zip(read_embeddings(data[1], SHUFFLED), tables, strict=True):
        assert again.dtype == np.float32
        np.testing.assert_array_equal(again, table)
    save("embedding_u.npy", tables.users.astype(np.float64))
    assert read_embeddings(data[1], PATHS).users.dtype == np.float32


def with_value(table, row, value):
    table = table.copy()
    table[row, 3] = value
    return table


MALFORMED = {
    "absent": (lambda t: Path("embedding_u.npy").unlink(), "there is no such file"),
    "a folder": (
        lambda t: (Path("embedding_u.npy").unlink(), Path("embedding_u.npy").mkdir()),
        "there is no such file",
    ),
    "text": (
        lambda t: Path("embedding_u.npy").write_text("1 2"),
        "is not a .npy file, or is damaged",
    ),
    "empty": (
        lambda t: Path("embedding_u.npy").write_text(""),
        "is not a .npy file, or is damaged",
    ),
    "cut short": (
        lambda t: Path("embedding_u.npy").write_bytes(Path("embedding_u.npy").read_bytes()[:-9]),
        "is not a .npy file, or is damaged",
    ),
    "a pickle": (
        lambda t: Path("embedding_u.npy").write_bytes(pickle.dumps(t.users)),
        "is not a .npy file, or is damaged: write one array of numbers with np.save",
    ),
    "objects": (
        lambda t: save("embedding_u.npy", np.array([{}, None], dtype=object)),
        "holds Python objects: write one array of numbers with np.save",
    ),
    "several arrays": (
        lambda t: (np.savez("a.npz", t.users), Path("a.npz").replace("embedding_u.npy")),
        "is not a .npy file, or is damaged",
    ),
    "a vector": (lambda t: save("embedding_u.npy", t.users[0]), r"has the shape \(32,\): choose a"),
    "no column": (lambda t: save("embedding_u.npy", t.users[:, :0]), r"has the shape \(1000, 0\)"),
    "whole numbers": (
        lambda t: save("embedding_u.npy", t.users.astype(np.int64)),
        "holds int64: choose a table of float32",
    ),
    "complex": (lambda t: save("embedding_u.npy", t.users * 1j), "holds complex64"),
    "NaN": (
        lambda t: save("embedding_u.npy", with_value(t.users, 7, np.nan)),
        "holds NaN or infinity, first in row 7, counted from 0",
    ),
    "too large": (
        lambda t: save("embedding_u.npy", with_value(t.users.astype(np.float64), 2, 1e300)),
        "holds NaN or infinity, first in row 2",
    ),
    "too few rows": (
        lambda t: save("embedding_u.npy", t.users[:-1]),
        "has 999 rows, but synthetic-small has 1,000 users: choose a table of the same data",
    ),
    "other columns": (
        lambda t: save("embedding_v.npy", t.items[:, :8]),
        "has 32 columns and --items=embedding_v.npy 8",
    ),
    "swapped": (
        lambda t: (save("embedding_u.npy", t.items), save("embedding_v.npy", t.users)),
        "has as many rows as synthetic-small has items, .*: the two are swapped",
    ),
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_malformed_table_is_an_error(place, data, tables, run_main, fault):
    spoil, sentence = MALFORMED[fault]
    spoil(tables)
    with pytest.raises(UserError, match=sentence) as caught:
        run_main("synthetic-small", **FILES)
    assert str(caught.value).startswith("--users=embedding_u.npy")
    assert not Path("comparisons").exists()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            lambda ids: ids[:-1],
            r"--user_ids=user_ids.npy is int64 of the shape \(999,\): choose 1,",
        ),
        (lambda ids: ids / 2, "is float64 of the shape"),
        (lambda ids: np.where(ids == ids[0], ids[1], ids), r"holds the id \d+ twice"),
        (lambda ids: ids + 1, "lacks 1 of the 1,000 users of synthetic-small, 0 among them"),
    ],
)
def test_ids_that_do_not_fit_are_an_error(place, data, spoil, sentence):
    save("user_ids.npy", spoil(np.load("user_ids.npy")))
    with pytest.raises(UserError, match=sentence):
        read_embeddings(data[1], SHUFFLED)


def test_run_that_does_not_fit_is_an_error(place, data, run_folder, tmp_path):
    folder = tmp_path / "copy"

    def copied(**changes):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(run_folder[0], folder)
        return folder

    with pytest.raises(
        UserError, match="--run=nowhere is not a finished run: choose a folder such"
    ):
        read_run(data[1], Path("nowhere"))
    other = make_interactions(
        "other", train=[[0, 0]], valid=[], test=[], exposed=[],
        user_ids=np.arange(1), item_ids=np.arange(1), source={},
    )  # fmt: skip
    with pytest.raises(UserError, match="was trained on other data than other with these flags"):
        read_run(other, run_folder[0])
    (copied() / "embeddings" / "item.npy").unlink()
    with pytest.raises(UserError, match=r"item\.npy is missing: --overwrite"):
        read_run(data[1], folder)
    ids = copied() / "embeddings" / "item_ids.npy"
    np.save(ids, np.load(ids)[::-1])
    with pytest.raises(UserError, match=r"item_ids\.npy is damaged, or was changed"):
        read_run(data[1], folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(UserError, match=r"item_ids.npy: these are not the ids of synthetic-small"):
        read_run(data[1], folder)
    (copied() / "results.json").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        read_run(data[1], folder)


@pytest.mark.parametrize(
    ("words", "chosen", "sentence"),
    [
        ([], FILES, "one word is needed, DATASET, not 0: for example 'compare zhihu"),
        (["nowhere"], FILES, "unknown dataset 'nowhere': choose one of"),
        (["synthetic-small"], {}, "--users is needed: the .npy file of the user embeddings"),
        (
            ["synthetic-small"],
            {"users": "x"},
            "--items is needed: the .npy file of the item embeddings",
        ),
        (
            ["synthetic-small"],
            FILES | {"depth": "0"},
            "--depth=0: choose at most 100 whole numbers",
        ),
        (["synthetic-small"], FILES | {"run": "none"}, "--run=none is not a finished run"),
    ],
)
def test_bad_command_line_is_an_error(place, run_main, words, chosen, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        run_main(*words, **chosen)
    assert not Path("comparisons").exists()


def test_lists_are_compared_with_the_exact_lists_of_the_same_mask():
    """With 22 items, a search of depth 21 costs every user one place."""
    pairs = [[user, item] for user in (0, 1) for item in range(7)]
    world = make_interactions(
        "world", train=pairs[:5] + pairs[7:12], valid=[pairs[5], pairs[12]],
        test=[pairs[6], pairs[13]], exposed=[], user_ids=np.arange(2), item_ids=np.arange(22),
        source={},
    )  # fmt: skip
    tables = Embeddings(
        np.ones((2, 1), np.float32), np.linspace(1, 0, 22, dtype=np.float32)[:, None]
    )
    found = comparison.rank("x", tables, world, [21, 22])
    assert [(each.mode.masked, each.mode.depth, each.short) for each in found] == [
        (masked, depth, short)
        for masked in ("train and valid", "train")
        for depth, short in ((0, 0), (21, 2), (22, 0))
    ]
