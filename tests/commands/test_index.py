"""The command index: Faiss returns what recommend --include_seen writes."""

import json
import os

import faiss
import numpy as np
import pytest

import recns_tf as rt
from recns_tf.main import main
from recns_tf.serving import faiss_index
from tests.commands.test_recommend import place, worlds  # noqa: F401  (fixtures)
from tests.commands.worlds import refusal


@pytest.mark.parametrize("run", ["numbers", "text"])
def test_searches_return_what_recommend_writes(place, run, capsys):  # noqa: F811
    main(["index", f"runs/{run}", "--output=items.faiss"])
    index = faiss.read_index("items.faiss")
    assert isinstance(index, faiss.IndexIDMap2) and index.metric_type == faiss.METRIC_INNER_PRODUCT
    users = np.load(f"runs/{run}/embeddings/user.npy")
    scores, found = index.search(users, 9)
    if run == "text":
        ids = json.loads((place / "items.faiss.ids.json").read_text())
        found = np.array(ids)[found]
        names = "items.faiss items.faiss.ids.json"
    else:
        assert not (place / "items.faiss.ids.json").exists()
        names = "items.faiss"
    assert capsys.readouterr().out == f"{place}/: {names}, 60 items of dimension 6.\n"
    lists = rt.load(f"runs/{run}", frames="dict").recommend(k=9, include_seen=True)
    np.testing.assert_allclose(scores.ravel(), lists["score"], rtol=1e-5, atol=1e-6)
    differ = found.ravel() != lists["item"]
    # Neighbors in a list may swap if float32 cannot distinguish their scores.
    assert not differ.any() or np.abs(np.diff(lists["score"])).min() < 1e-6


def test_an_embedding_is_found_by_its_id(place):  # noqa: F811
    main(["index", "runs/numbers", "--output=items.faiss"])
    index = faiss.read_index("items.faiss")
    items = np.load("runs/numbers/embeddings/item.npy")
    np.testing.assert_array_equal(index.reconstruct(7 * 5 + 3), items[5])


def test_an_approximate_index_prints_its_recall(place, capsys):  # noqa: F811
    flags = ["--approximate=hnsw", "--hnsw_links=4", "--hnsw_search=1", "--hnsw_construction=5"]
    main(["index", "runs/numbers", "--output=h.faiss", "--topk=12", *flags])
    index = faiss.read_index("h.faiss")
    graph = faiss.downcast_index(index.index)
    assert isinstance(graph, faiss.IndexHNSWFlat)
    assert (graph.hnsw.efSearch, graph.hnsw.efConstruction) == (1, 5)
    assert graph.hnsw.nb_neighbors(1) == 4
    assert index.index.metric_type == faiss.METRIC_INNER_PRODUCT
    users, items = (np.load(f"runs/numbers/embeddings/{n}.npy") for n in ("user", "item"))
    wanted = np.argsort(-(users @ items.T), axis=1)[:, :12] * 7 + 3
    _, found = index.search(users, 12)
    recall = np.mean([len({*one} & {*two}) / 12 for one, two in zip(wanted, found, strict=True)])
    assert capsys.readouterr().out.startswith(
        f"Recall@12 against exact search: {recall:.4f}, of 40 users.\n"
    )
    main(["index", "runs/numbers", "--output=h2.faiss", "--approximate=hnsw"])
    assert "exact search: 1.0000, of 40" in capsys.readouterr().out, "60 items are few"


def test_recall_is_that_of_a_sample_of_users():
    rng = np.random.default_rng(0)
    items, users = (rng.normal(size=(n, 4)).astype(np.float32) for n in (30, 11_000))
    half = faiss_index.with_ids(faiss_index.exact(4), items[:15], np.arange(15))
    found = faiss_index.recall(half, items, np.arange(30), users, 5)
    assert found == faiss_index.recall(half, items, np.arange(30), users, 5)
    wanted = np.argsort(-(users @ items.T), axis=1)[:, :5]
    assert found == pytest.approx((wanted < 15).mean(), abs=0.01)
    assert found != pytest.approx((wanted < 15).mean(), abs=1e-9), "11,000 users are not all drawn"


def test_ids_of_an_earlier_index_do_not_stay(place):  # noqa: F811
    main(["index", "runs/text", "--output=i.faiss"])
    sentence = refusal("index", "runs/numbers", "--output=i.faiss")
    assert sentence == "i.faiss already exists: choose another name, or --overwrite to replace it."
    main(["index", "runs/numbers", "--output=i.faiss", "--overwrite"])
    assert sorted(os.listdir(place)) == ["data", "i.faiss", "runs"]
    (place / "i.faiss").rename("j.faiss")
    (place / "i.faiss.ids.json").write_text("somebody's")
    assert refusal("index", "runs/text", "--output=i.faiss").startswith("i.faiss.ids.json already")


def test_negative_ids_are_numbered():
    assert faiss_index.has_integers(np.array([0, 5]))
    assert not faiss_index.has_integers(np.array([-1, 5])), "-1 is no item in Faiss"
    assert not faiss_index.has_integers(np.array([2**63], np.uint64))
    assert not faiss_index.has_integers(np.array(["1"]))


def test_both_files_or_none(place, monkeypatch):  # noqa: F811
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(faiss_index.json, "dumps", full)
        assert "is full: free some space" in refusal("index", "runs/text", "--output=i.faiss")
    assert sorted(os.listdir(place)) == ["data", "runs"]


def test_illegal_flags_are_one_sentence(place):  # noqa: F811
    assert refusal("index", "runs/text") == "--output is needed: a file such as items.faiss."
    assert refusal("index", "runs/text", "--output=a", "--approximate=ivf") == (
        "--approximate=ivf: choose one of none, hnsw."
    )
    assert refusal("index", "runs/popular", "--output=a").startswith(
        "runs/popular is of the baseline popular, which has no embeddings"
    )
    hnsw = ("--output=a", "--approximate=hnsw", "--topk=61")
    assert refusal("index", "runs/text", *hnsw).startswith("--topk=61: choose at most 60")
    assert sorted(os.listdir(place)) == ["data", "runs"]
