"""What lookups answer, against the library, and what they refuse."""

import numpy as np
import pytest
from fastapi.testclient import TestClient

import recns_tf as rt
from recns_tf.baselines.fit import fit_and_evaluate
from recns_tf.baselines.settings import BaselineSettings
from recns_tf.config.config import Workspace
from recns_tf.interactions import degrees_of_items
from recns_tf.service import explain
from recns_tf.service.app import create_app
from recns_tf.service.current import Current
from recns_tf.service.measures import Measures
from recns_tf.service.relation import share_of
from tests.goodness_of_fit import chi_square
from tests.service.test_app import refused
from tests.serving.worlds import made_up_run, with_integer_ids

TITLES = {"10": "<script>alert(1)</script>", "24": "Film, A"}
LOOKUPS = ("/users", "/history", "/recommend", "/similar", "/negatives")


def client_of(run, histories=True, titles=None):
    current = Current(run, histories=histories, titles=titles)
    return TestClient(create_app(current, Measures()), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client(served_run):
    with client_of(served_run, titles=TITLES) as client:
        yield client


def get(client, path, **parameters):
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids_of(items):
    return [each["id"] for each in items]


def walked(toy, user):
    """Return the regions of a user by the powers of the adjacency matrix."""
    train = toy.train.toarray().astype(int)
    reached = (train @ train.T @ train)[user] > 0
    return {
        str(toy.item_ids[item]): "adjacent" if train[user, item]
        else "intermediate" if reached[item] else "distant"
        for item in range(toy.num_items)
    }  # fmt: skip


def test_users_are_found_by_a_part_of_their_id(client, toy):
    assert get(client, "/users", search="U3", limit=4) == {
        "run": "toy", "found": 11,
        "users": [
            {"id": f"u{n}", "items": int(toy.train[[n]].nnz)} for n in (3, 30, 31, 32)
        ],
    }  # fmt: skip
    assert ids_of(get(client, "/users", search="9")["users"]) == ["u9", "u19", "u29", "u39"]
    everyone = [get(client, "/users", start=start, limit=15) for start in (0, 15, 30, 45)]
    assert [each["found"] for each in everyone] == [40] * 4
    listed = [user["id"] for each in everyone for user in each["users"]]
    assert listed == toy.user_ids.tolist()
    assert get(client, "/users", search="nobody") == {"run": "toy", "found": 0, "users": []}


def test_a_history_has_titles_regions_and_exposures(client, toy):
    user = 5
    answer = get(client, "/history", user="u5")
    regions = walked(toy, user)
    held_out = {*toy.valid[[user]].indices, *toy.test[[user]].indices}
    for name, rows in (("positives", toy.train), ("exposed", toy.exposed)):
        items = rows[[user]].indices
        assert ids_of(answer[name]) == [str(toy.item_ids[item]) for item in items]
        for item, shown in zip(items, answer[name], strict=True):
            assert shown["region"] == regions[shown["id"]]
            assert shown["title"] == TITLES.get(shown["id"])
            assert shown["users"] == degrees_of_items(toy.train)[item]
            assert ("train" in shown["marks"]) == (name == "positives")
            assert bool({"valid", "test"} & {*shown["marks"]}) == (item in held_out)
    sizes = {name: [*regions.values()].count(name) for name in answer["sizes"]}
    assert answer["sizes"] == sizes and sum(sizes.values()) == toy.num_items
    assert (answer["sampler"], answer["regions"]) == ("unins", "khop 3, walk definition")


def test_lists_are_those_of_the_library(client, served_run, toy):
    model = rt.load(served_run, frames="dict", stored_ids=True)
    for answer, frame, name in (
        (get(client, "/recommend", user="u5", k=9), model.recommend("u5", k=9), "item"),
        (get(client, "/similar", item="24", k=9), model.similar_items(24, k=9), "similar_item"),
    ):
        assert ids_of(answer["items"]) == [str(each) for each in frame[name]]
        assert [each["score"] for each in answer["items"]] == frame["score"].tolist()
        of_user = name == "item"
        assert all((each["region"] is not None) == of_user for each in answer["items"])
    regions = walked(toy, 5)
    for each in get(client, "/similar", item="24", k=59, user="u5")["items"]:
        assert each["region"] == regions[each["id"]]


def test_negatives_have_the_law_of_the_sampler(client, toy):
    user = 5
    positive = str(toy.item_ids[toy.train[[user]].indices[0]])
    answer = get(client, "/negatives", user="u5", item=positive, draws=20_000, top=60)
    number = {str(each): n for n, each in enumerate(toy.item_ids)}
    counts = np.zeros(toy.num_items)
    for each in answer["items"]:
        counts[number[each["id"]]] = round(each["share"] * answer["draws"])
    assert counts.sum() == answer["draws"] == 20_001
    unobserved = ~toy.train[[user]].toarray()[0]
    assert chi_square(counts, unobserved) > 0.001
    assert answer["distinct"] == unobserved.sum()
    regions = walked(toy, user)
    for each in answer["regions"]:
        members = [name == each["region"] for name in regions.values()]
        assert each["items"] == sum(members)
        assert each["share"] == pytest.approx(counts[members].sum() / 20_001)
    held_out = toy.held_out[[user]].toarray()[0]
    assert answer["held_out"]["share"] == pytest.approx(counts[held_out].sum() / 20_001)
    exposed = toy.exposed[[user]].toarray()[0]
    assert answer["exposed"]["share"] == pytest.approx(counts[exposed].sum() / 20_001)
    # Uniform draws with replacement are independent.
    share = answer["exposed"]["share"]
    assert answer["exposed"]["error"] == pytest.approx(
        np.sqrt(share * (1 - share) / 20_001), rel=0.05
    )
    assert answer["items"] == sorted(answer["items"], key=lambda each: -each["share"])
    assert (answer["sampler"], answer["drawn_from"]) == ("unins", "all unobserved items")
    assert answer["positive"]["id"] == positive and answer["merged"] == []
    assert len(get(client, "/negatives", user="u5", item=positive, top=3)["items"]) == 3


def test_errors_are_those_of_rows_that_repeat_an_item():
    ids = np.repeat(np.random.default_rng(0).integers(0, 2, [400, 1]), 10, axis=1)
    found = share_of(ids == 1)
    assert found["share"] == ids.mean()
    assert found["error"] == pytest.approx(ids[:, 0].std() / 20)


WRONG = [
    ("/users", {"limit": 0}), ("/users", {"limit": 101}), ("/users", {"limit": "x"}),
    ("/users", {"start": -1}), ("/users", {"start": 10**30}), ("/users", {"find": "u"}),
    ("/users", {"search": "u" * 1_001}),
    ("/history", {}), ("/history", {"user": ""}), ("/history", {"user": "nobody"}),
    ("/history", {"user": "u5", "item": "3"}), ("/history", {"user": "../../etc/passwd\n\x00"}),
    ("/recommend", {"user": "u5", "k": 0}), ("/recommend", {"user": "u5", "k": 61}),
    ("/recommend", {"user": "u5", "k": "2.5"}), ("/recommend", {"user": "u5", "k": 1_001}),
    ("/similar", {"item": "4"}), ("/similar", {"item": "24", "k": 60}),
    ("/similar", {"item": "024"}), ("/similar", {"item": "24", "user": "u99"}),
    ("/similar", {"item": "9" * 999}), ("/similar", {"item": "²"}), ("/similar", {"item": "--1"}),
    ("/negatives", {"user": "u5"}), ("/negatives", {"item": "24"}),
    ("/negatives", {"user": "u5", "item": "3"}),
    ("/negatives", {"user": "u5", "item": "24", "draws": 0}),
    ("/negatives", {"user": "u5", "item": "24", "draws": 100_001}),
    ("/negatives", {"user": "u0", "item": "24"}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "parameters"), WRONG, ids=range(len(WRONG)))
def test_malformed_lookups_are_refused_in_one_sentence(client, path, parameters):
    refused(client.get(path, params=parameters))


def test_sentences_of_lookups(client):
    def sentence(path, **parameters):
        return refused(client.get(path, params=parameters))

    assert sentence("/history", user="5") == "user '5' is not in the data of toy."
    assert (
        sentence("/similar", item="024") == "item '024' is not in the data of toy: did you mean 24."
    )
    assert sentence("/negatives", user="u5", item="3") == (
        "item 3 is no train positive of user u5: negatives are drawn for an item of the user's "
        "history."
    )


def test_runs_without_a_sampler_or_tensorflow_say_so(toy, toy_config, served_run, tmp_path):
    positive = str(toy.item_ids[toy.train[[5]].indices[0]])
    with client_of(served_run, histories=False) as client:
        answer = client.get("/negatives", params={"user": "u5", "item": positive})
        assert refused(answer) == ("negatives are not shown: start the service with --histories.")
        assert len(get(client, "/recommend", user="u5")["items"]) == 10
    place = Workspace(runs_dir=str(tmp_path), run_name="popular")
    fit_and_evaluate("popular", toy_config, BaselineSettings(), place, toy)
    rt.load(tmp_path / "popular", data=toy).save(tmp_path / "saved")
    with client_of(tmp_path / "saved") as client:
        answer = client.get("/negatives", params={"user": "u5", "item": positive})
        assert refused(answer) == "saved is of a baseline, which has no sampler."
        assert "has no embeddings" in refused(client.get("/similar", params={"item": "24"}))
        history = get(client, "/history", user="u5")
        assert history["sampler"] is None and history["positives"]


def test_too_many_waiting_requests_for_negatives_are_refused(client, monkeypatch):
    monkeypatch.setattr(explain, "WAITING", 0)
    answer = client.get("/negatives", params={"user": "u5", "item": "3"})
    assert answer.status_code == 503 and "try again" in answer.json()["error"]


def test_large_integers_are_exact(toy, tmp_path):
    data = with_integer_ids(toy)
    with client_of(made_up_run(tmp_path / "run", data), histories=False) as client:
        for user in data.user_ids[[0, 1, 39]].tolist():
            assert get(client, "/history", user=user)["user"] == str(user)
            assert ids_of(get(client, "/users", search=user)["users"])[0] == str(user)


def test_lookups_are_described_and_measured(client):
    described = client.get("/openapi.json").json()["paths"]
    for path in LOOKUPS:
        assert described[path]["get"]["description"].endswith(".")
        client.get(path)
    text = client.get("/metrics").text
    for path in (*LOOKUPS, "/page.js"):
        client.get(path)
        assert f'path="{path}"' in client.get("/metrics").text, text
