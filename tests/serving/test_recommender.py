"""What a Recommender answers, against the data and the embeddings of its run."""

import dataclasses
import json
import os
import shutil
import uuid

import numpy as np
import pandas as pd
import pytest

import recns_tf as rt
from recns_tf.baselines.fit import fit_and_evaluate
from recns_tf.baselines.settings import BaselineSettings
from recns_tf.config.config import Workspace
from recns_tf.datasets.frames import from_frame
from recns_tf.errors import UserError
from recns_tf.interactions import to_pairs
from recns_tf.runs.folder import RunFolder
from recns_tf.serving.recommender import Recommender
from recns_tf.training.train import train_and_evaluate


@pytest.fixture(scope="module")
def run(toy, toy_config, tmp_path_factory):
    """The folder of a run on the toy data, which no folder of datasets has."""
    config = dataclasses.replace(toy_config, encoder="mf", sampler="unins", epochs=2, topk="5,20")
    place = Workspace(runs_dir=str(tmp_path_factory.mktemp("runs")), run_name="toy")
    train_and_evaluate(config, place, toy, quiet=True, keep_data=True)
    return place.run_folder(config)


@pytest.fixture(scope="module")
def model(run):
    return rt.load(run, frames="pandas")


def scores_of(model):
    """Scores of all pairs, computed as the rule says."""
    users, items = (table.astype(np.float64) for table in model.embeddings)
    return (users @ items.T).astype(np.float32)


def expected_list(model, user, k, allowed=None, include_seen=False):
    row = model.data.user_ids.tolist().index(user)
    scores = scores_of(model)[row].tolist()
    chosen = {int(item) for u, item in to_pairs(model.data.positives).tolist() if u == row}
    items = [
        item
        for item in range(model.data.num_items)
        if (include_seen or item not in chosen) and (allowed is None or item in allowed)
    ]
    best = sorted(items, key=lambda item: (-scores[item], item))[:k]
    return [(int(model.data.item_ids[item]), scores[item]) for item in best]


def test_every_user_gets_the_unseen_items_of_the_largest_scores(model):
    frame = model.recommend(k=7)
    assert list(frame.columns) == ["user", "item", "rank", "score"]
    assert frame["user"].unique().tolist() == model.data.user_ids.tolist()
    for user, lists in frame.groupby("user"):
        assert list(zip(lists["item"], lists["score"], strict=True)) == expected_list(
            model, user, 7
        )
        assert lists["rank"].tolist() == list(range(1, len(lists) + 1))


def test_seen_items_of_every_part_are_left_out(model):
    frame = model.recommend(k=20)
    listed = set(zip(frame["user"], frame["item"], strict=True))
    for part in ("train", "valid", "test"):
        history = model.history()
        chosen = history[history["part"] == part]
        assert len(chosen) == getattr(model.data, part).nnz > 0
        assert not listed & set(zip(chosen["user"], chosen["item"], strict=True))


def test_include_seen_and_candidates(model):
    allowed = [3, 10, 24, 80, 10]
    frame = model.recommend("u5", k=3, candidates=allowed, include_seen=True)
    numbers = {model.data.item_ids.tolist().index(item) for item in allowed}
    assert list(zip(frame["item"], frame["score"], strict=True)) == expected_list(
        model, "u5", 3, numbers, include_seen=True
    )
    some = model.recommend(["u5", "u2", "u5"], k=2, candidates=np.array(allowed))
    assert some["user"].unique().tolist() == ["u5", "u2"], "in the order of the question"
    assert set(some["item"]) <= set(allowed)


def test_a_user_who_saw_almost_everything_has_a_short_list(run, toy):
    model = rt.load(run, frames="dict")
    seen = set(model.history("u7")["item"].tolist())
    few = [int(item) for item in toy.item_ids if item not in seen][:1]
    frame = model.recommend("u7", k=4, candidates=[*few, *list(seen)[:6]])
    assert frame["item"].tolist() == few and frame["rank"].tolist() == [1]
    assert frame["score"].dtype == np.float32
    empty = model.recommend("u7", k=2, candidates=list(seen)[:3])
    assert {name: len(each) for name, each in empty.items()} == dict.fromkeys(frame, 0)
    assert len(model.recommend([], k=3)["user"]) == 0


def test_lists_do_not_depend_on_the_parts_they_are_computed_in(model, monkeypatch):
    whole = model.recommend(k=5)
    monkeypatch.setattr("recns_tf.serving.lists.LISTED_AT_ONCE", 35)
    pd.testing.assert_frame_equal(model.recommend(k=5), whole)


@pytest.mark.parametrize(("kind", "place"), [("user", 0), ("item", 1)])
def test_similar_ones_have_the_largest_cosine(model, kind, place):
    table = model.embeddings[place].astype(np.float64)
    ids = getattr(model.data, f"{kind}_ids").tolist()
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -2)
    frame = getattr(model, f"similar_{kind}s")(k=4)
    assert list(frame.columns) == [kind, f"similar_{kind}", "rank", "score"]
    for number, (one, lists) in enumerate(frame.groupby(kind, sort=False)):
        assert one == ids[number]
        places = [ids.index(each) for each in lists[f"similar_{kind}"]]
        np.testing.assert_allclose(lists["score"], np.sort(cosine[number])[::-1][:4], atol=1e-6)
        np.testing.assert_allclose(cosine[number][places], lists["score"], atol=1e-6)
    some = getattr(model, f"similar_{kind}s")([ids[8], ids[2]], k=1)
    assert some[kind].tolist() == [ids[8], ids[2]]


def test_evaluate_gives_what_results_json_has(model, run):
    results = json.loads((run / "results.json").read_text())
    assert model.evaluate() == model.evaluate("test") == results["test"]
    assert model.evaluate("valid") == results["valid"]
    at_ten = model.evaluate("test", k=[3, 10])
    assert {"recall@3", "recall@10"} <= at_ten.keys() and "recall@20" not in at_ten
    assert model.evaluate(k=5)["recall@5"] == results["test"]["recall@5"]


def test_history_lists_the_items_in_their_parts(model, toy):
    frame = model.history(["u3", "u9"])
    rows = {
        (toy.user_ids[u], int(toy.item_ids[i]), part)
        for part in ("train", "valid", "test")
        for u, i in to_pairs(getattr(toy, part)).tolist()
        if u in (3, 9)
    }
    assert set(frame.itertuples(index=False, name=None)) == rows


def test_a_saved_run_can_be_moved_and_needs_no_data(model, run, tmp_path):
    model.save(tmp_path / "shop")
    shutil.move(tmp_path / "shop", tmp_path / "moved")
    again = rt.load(tmp_path / "moved", frames="pandas", data_dir=tmp_path / "nowhere")
    pd.testing.assert_frame_equal(again.recommend(k=6), model.recommend(k=6))
    assert again.results == model.results
    assert again.keras_model().encoder.num_users == model.data.num_users
    kept = sorted(path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file())
    saved = sorted(
        path.relative_to(again.run.path).as_posix()
        for path in again.run.path.rglob("*")
        if path.is_file()
    )
    assert saved == [name for name in kept if name[0] != "." and "checkpoint" not in name]
    assert os.listdir(tmp_path) == ["moved"]


def test_saving_replaces_nothing_unless_asked(model, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    for overwrite in (False, True):
        with pytest.raises(UserError, match="mine already exists"):
            model.save(tmp_path / "mine", overwrite=overwrite)
    model.save(tmp_path / "shop")
    with pytest.raises(UserError, match="shop already exists"):
        model.save(tmp_path / "shop")
    model.save(tmp_path / "shop", overwrite=True)
    rt.load(tmp_path / "shop")
    # A run may be saved onto itself.
    rt.load(tmp_path / "shop").save(tmp_path / "shop", overwrite=True)
    rt.load(tmp_path / "shop")


def test_a_run_of_an_earlier_version_is_opened(run, toy, tmp_path):
    shutil.copytree(run, tmp_path / "old")
    for name in ("manifest.json", "interactions.npz"):
        (tmp_path / "old" / name).unlink()
    with pytest.raises(UserError, match=r"old needs the data that it was trained on: .*ml-100k"):
        rt.load(tmp_path / "old", data_dir=tmp_path)
    old = rt.load(tmp_path / "old", data=toy)
    assert old.recommend("u5", k=3).equals(rt.load(run).recommend("u5", k=3))
    old.save(tmp_path / "new")
    rt.load(tmp_path / "new").evaluate()


@pytest.fixture(scope="module", params=["popular", "itemknn", "ease"])
def baseline(request, toy, toy_config, tmp_path_factory):
    place = Workspace(runs_dir=str(tmp_path_factory.mktemp("runs")))
    settings = BaselineSettings(itemknn_neighbors="5,10", itemknn_shrink="0,2.5", ease_l2="3,10")
    fit_and_evaluate(request.param, toy_config, settings, place, toy)
    (folder,) = os.scandir(place.runs_dir)
    return folder.path


def test_the_run_of_a_baseline_recommends(baseline, toy):
    model = rt.load(baseline, data=toy, frames="pandas")
    assert model.evaluate() == model.results["test"]
    frame = model.recommend(k=20)
    seen = set(zip(*model.history()[["user", "item"]].to_numpy().T, strict=True))
    assert not seen & set(zip(frame["user"], frame["item"], strict=True))
    scores = model.scorer.fit.scores(np.arange(toy.num_users))
    for user, lists in frame.groupby("user"):
        row = scores[toy.user_ids.tolist().index(user)]
        free = [i for i in range(toy.num_items) if (user, toy.item_ids[i]) not in seen]
        best = sorted(free, key=lambda item: (-row[item], item))[:20]
        assert lists["item"].tolist() == toy.item_ids[best].tolist()
    some = model.recommend("u4", k=2, candidates=toy.item_ids[5:25], include_seen=True)
    assert set(some["item"]) <= set(toy.item_ids[5:25].tolist())
    with pytest.raises(UserError, match="has no embeddings: choose the run of an encoder"):
        model.similar_items(k=3)


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda m: m.recommend("nobody"), "user 'nobody' is not in the data of toy"),
        (lambda m: m.recommend(["u1", "u99"]), "user 'u99' is not"),
        (lambda m: m.recommend("u1", candidates=[3, 4]), "item 4 is not"),
        (lambda m: m.recommend("u1", candidates=["10"]), "item '10' is not .*: did you mean 10"),
        (lambda m: m.recommend([["u1"]]), r"user \['u1'\] is not"),
        (lambda m: m.recommend("u1", k=61), "k=61: choose a whole number from 1 to 60, the number"),
        (lambda m: m.recommend("u1", k=0), "k=0: choose"),
        (lambda m: m.recommend("u1", k=2.0), "k=2.0: choose"),
        (lambda m: m.recommend("u1", k=True), "k=True: choose"),
        (lambda m: m.recommend("u1", k=2, candidates=[3]), "1 to 1, the number of candidates"),
        (lambda m: m.similar_items([3], k=60), "from 1 to 59, the number of other items"),
        (lambda m: m.similar_users("u99"), "user 'u99' is not"),
        (lambda m: m.history("u99"), "user 'u99' is not"),
        (lambda m: m.evaluate("train"), "part='train': choose valid or test"),
        (lambda m: m.evaluate(k=0), "--topk=0: choose"),
        (lambda m: m.evaluate(k="ten"), "--topk=t,e,n: choose|--topk=ten: choose"),
        (lambda m: Recommender(m.run, m.data, "spark").history(), "frames=spark: choose one of"),
    ],
)
def test_bad_questions_are_one_sentence(model, ask, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        ask(model)
    assert isinstance(caught.value, UserError) and "\n" not in str(caught.value)


def test_damaged_and_unfinished_runs_are_one_sentence(run, tmp_path):
    for name in ("embeddings/item.npy", "results.json", "interactions.npz", "config.json"):
        shutil.copytree(run, tmp_path / "damaged")
        path = tmp_path / "damaged" / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"{name} is damaged, or was changed"):
            rt.load(tmp_path / "damaged")
        path.unlink()
        with pytest.raises(UserError):
            rt.load(tmp_path / "damaged")
        shutil.rmtree(tmp_path / "damaged")
    with pytest.raises(UserError, match="is not the folder of a run"):
        rt.load(tmp_path)


def test_ids_of_any_type_are_accepted_and_returned(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    users = [uuid.UUID(int=int(n)) for n in rng.integers(0, 12, 150)]
    items = [(int(n), "shelf") for n in rng.integers(0, 20, 150)]
    frame = pd.DataFrame({"user": users, "item": items})
    data = from_frame(frame, user="user", item="item", quiet=True)
    model = rt.train(data, "mf", "unins", epochs=1, dim=4, num_negatives=2, quiet=True)
    model.save("shelf")
    for each in (model, rt.load("shelf")):
        lists = each.recommend(users[0], k=3)
        assert isinstance(lists, pd.DataFrame)
        assert set(lists["user"]) == {users[0]} and set(lists["item"]) <= set(items)
        assert set(each.recommend(users[0], k=1, candidates=items[0])["item"]) <= {items[0]}
        assert set(each.similar_items([items[0], items[1]], k=1)["item"]) == set(items[:2])


def test_the_folder_of_a_run_is_read_only(run, model):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    model.recommend(k=2)
    rt.load(run).evaluate()
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    assert RunFolder(run).read_results() is not None
