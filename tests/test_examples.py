"""The examples run, print what they promise, and stay short."""

import ast
import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from recns_tf.interactions import Interactions
from tests.commands.test_train import ROOT, call
from tests.goodness_of_fit import chi_square
from tests.samplers import worlds

EXAMPLES = ROOT / "examples"
NOTEBOOK = EXAMPLES / "quickstart.ipynb"
QUIET = {"PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", "TF_CPP_MIN_LOG_LEVEL": "2"}


def run(script, place):
    """Run a script in a folder and return what it prints."""
    done = call(sys.executable, script, cwd=place, **QUIET)
    assert done.returncode == 0, done.stderr
    return done.stdout


def after(label, text):
    """Return the Python value behind a label at the start of a line."""
    (value,) = re.findall(rf"^{re.escape(label)} (.*)$", text, re.MULTILINE)
    return ast.literal_eval(value)


def cells(kind):
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


def clicks_of(user, log):
    """Return the items that a user clicked, by a plain loop over the log."""
    rows = zip(log["user"], log["item"], log["clicked"], strict=True)
    return {str(item) for who, item, clicked in rows if who == user and clicked}


@pytest.fixture
def example(monkeypatch):
    """Return a function that imports an example without running it."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


@pytest.mark.slow
def test_own_dataframe_recommends_what_the_user_likes(tmp_path, example):
    printed = run(EXAMPLES / "own_dataframe.py", tmp_path)
    clicked = clicks_of("u7", example("own_dataframe").make_clicks())
    # The favorite kind of u7 is the one with number 7 % 6, games.
    assert sum(item.startswith("game") for item in clicked) > len(clicked) / 2
    rows = after("For u7:", printed)
    items = [row["item"] for row in rows]
    assert [row["rank"] for row in rows] == [1, 2, 3] and len(set(items)) == 3
    assert not clicked & set(items)
    assert sum(item.startswith("game") for item in items) >= 2
    similar = [row["similar_item"] for row in after("Like tv1:", printed)]
    assert sum(item.startswith("tv") for item in similar) >= 2 and "tv1" not in similar
    # The most popular items reach 0.12.
    assert 0.2 < after("Test Recall@10:", printed) < 1
    assert after("Loaded:", printed) == rows
    assert (tmp_path / "saved" / "shop" / "interactions.npz").exists()


@pytest.mark.slow
def test_own_sampler_is_compared_on_validation(tmp_path):
    printed = run(EXAMPLES / "own_sampler.py", tmp_path)
    recall = {}
    for label, name in (("uniform", "unins"), ("best of two", "__main__.BestOfTwo")):
        recall[label] = after(f"{label}: valid Recall@20", printed)
        results = tmp_path / "runs" / f"synthetic-small-lightgcn-{name}" / "results.json"
        recorded = json.loads(results.read_text())["valid"]["recall@20"]
        assert recall[label] == pytest.approx(recorded, abs=5e-5)
    assert recall["best of two"] > recall["uniform"]


@pytest.mark.slow
def test_own_sampler_has_the_distribution_in_its_docstring(example):
    sampler = example("own_sampler").BestOfTwo
    scores = np.array([0.3, -1.0, 2.0, 0.9, 5.0, -0.2])
    drawn = worlds.sample(
        sampler(3, worlds.unobserved([[4]], 6)),
        worlds.batch(20_000),
        worlds.tables([[1.0]], scores[:, None]),
    ).ids
    # Item 4 is observed. The others by score: 1, 5, 0, 3, 2.
    law = np.array([5, 1, 9, 7, 0, 3]) / 25
    assert chi_square(np.bincount(drawn.ravel(), minlength=6), law) > 1e-3
    assert chi_square(np.bincount(drawn.ravel(), minlength=6), law[::-1]) == 0


def test_own_sampler_has_20_lines_and_the_data_frame_40():
    tree = ast.parse((EXAMPLES / "own_sampler.py").read_text(encoding="utf-8"))
    (sampler,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    assert sampler.end_lineno - sampler.lineno + 1 <= 20
    lines = (EXAMPLES / "own_dataframe.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 40


@pytest.mark.slow
def test_own_encoder_profits_from_the_kinds_and_loads(tmp_path):
    printed = run(EXAMPLES / "own_encoder.py", tmp_path)
    without, with_kinds = (after(f"{name}: valid Recall@20", printed) for name in ("mf", "kinds"))
    assert with_kinds > without + 0.1
    assert all(item.startswith("tv") for item in after("Like tv1:", printed))
    assert "The loaded WithKinds has the same embeddings: True\n" in printed


def test_own_encoder_adds_the_embedding_of_the_kind(example, toy_config):
    log = {"user_id": ["a", "a", "b"], "item_id": ["tv12", "book3", "tv4"]}
    data = Interactions.from_frame(log, quiet=True)
    encoder = example("own_encoder").WithKinds.from_settings(toy_config, data)
    table = np.arange(16.0).reshape(2, 8)  # of books, of TVs
    encoder.kind_table.assign(table)
    nodes = encoder.nodes.numpy()
    users, items = encoder.embeddings()
    assert data.item_ids.tolist() == ["book3", "tv12", "tv4"]
    np.testing.assert_array_equal(users, nodes[:2])
    np.testing.assert_allclose(items, nodes[2:] + table[[0, 1, 1]], rtol=1e-6)


@pytest.mark.slow
def test_notebook_runs_from_top_to_bottom(tmp_path):
    # The cells hold plain Python, so that no kernel is needed.
    script = tmp_path / "cells.py"
    script.write_text("\n".join(cells("code")), encoding="utf-8")
    printed = run(script, tmp_path)
    assert "read         12,000 rows\n" in printed
    best, epochs = map(int, re.findall(r"best epoch: (\d+) of (\d+)", printed)[0])
    assert 1 < best <= epochs
    before = set(after("clicked before:", printed))
    ranked = [ast.literal_eval(line) for line in re.findall(r"^{'user': 'u7'.*$", printed, re.M)]
    assert len(ranked) == 5 and not before & {row["item"] for row in ranked}
    assert sum(row["item"].startswith("game") for row in ranked) >= 4
    compared = re.findall(r"^(\S+@\d+) +model ([\d.]+), most popular ([\d.]+)$", printed, re.M)
    assert [metric for metric, *_ in compared] == ["recall@10", "recall@20", "ndcg@10"]
    for _, model, popular in compared:
        assert float(model) > 1.5 * float(popular) > 0
    assert "same lists: True\n" in printed


def test_notebook_is_stored_without_outputs_and_with_little_metadata():
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert set(notebook) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert notebook["metadata"] == {"kernelspec": kernel, "language_info": {"name": "python"}}
    names = [cell["id"] for cell in notebook["cells"]]
    assert len(set(names)) == len(names)
    for cell in notebook["cells"]:
        common = {"cell_type", "id", "metadata", "source"}
        assert cell["metadata"] == {} and all(re.fullmatch(r"[\w-]{1,64}", name) for name in names)
        if cell["cell_type"] == "code":
            assert set(cell) == common | {"execution_count", "outputs"}
            assert cell["execution_count"] is None and cell["outputs"] == []
            compile("".join(cell["source"]), cell["id"], "exec")
        else:
            assert cell["cell_type"] == "markdown" and set(cell) == common


def test_examples_hold_no_absolute_paths_and_link_to_files():
    for path in (*EXAMPLES.glob("*.py"), NOTEBOOK):
        assert not re.search(r"""["'(\s]/(home|work|tmp|root|Users|mnt)\b""", path.read_text())
    for target in re.findall(r"\]\(([^)]+)\)", "\n".join(cells("markdown"))):
        assert (EXAMPLES / target).exists(), target


def test_readme_lists_every_example():
    listed = set(re.findall(r"\]\((\S+?)\)", (EXAMPLES / "README.md").read_text(encoding="utf-8")))
    files = {path.name for path in Path(EXAMPLES).iterdir() if path.suffix in (".py", ".ipynb")}
    assert files <= listed
