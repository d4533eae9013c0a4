"""What the service answers, against the library, and what it refuses."""

import itertools
import json

import numpy as np
import pytest
from fastapi.testclient import TestClient

import recns_tf as rt
from recns_tf.baselines.fit import fit_and_evaluate
from recns_tf.baselines.settings import BaselineSettings
from recns_tf.config.config import Workspace
from recns_tf.config.search import SearchSettings
from recns_tf.evaluation.scored_lists import scored_items
from recns_tf.service import app as app_module
from recns_tf.service.app import PATHS, create_app
from recns_tf.service.current import Current
from recns_tf.service.engine import rows_of
from recns_tf.service.measures import Measures
from recns_tf.serving.approximate import ApproximateSearch
from tests.serving.worlds import made_up_run, with_text_ids


def client_of(run, histories=True, **settings):
    """Return a client of a service with a run; a fault of the service is status 500."""
    measures = Measures()
    current = Current(run, histories=histories, observe=measures.batch.observe, **settings)
    return TestClient(create_app(current, measures), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def run(served_run):
    return served_run


@pytest.fixture(scope="module")
def model(run):
    return rt.load(run, frames="dict", stored_ids=True)


@pytest.fixture(scope="module")
def client(run):
    with client_of(run) as client:
        yield client


def pairs(answer):
    """Return the lists of an answer as pairs of id and score."""
    assert answer.status_code == 200, answer.text
    return [[(each["id"], each["score"]) for each in listed] for listed in answer.json()["lists"]]


def lists_of(frame, name, other):
    """Return the lists of a frame as pairs of id and score, by the id that each belongs to."""
    found = {}
    columns = (frame[column].tolist() for column in (name, other, "score"))
    for one, listed, score in zip(*columns, strict=True):
        found.setdefault(one, []).append((listed, score))
    return found


@pytest.mark.parametrize("include_seen", [False, True])
def test_users_get_the_lists_of_the_library(client, model, include_seen):
    expected = lists_of(model.recommend(k=7, include_seen=include_seen), "user", "item")
    users = model.data.user_ids.tolist()
    body = {"users": users, "k": 7, "include_seen": include_seen}
    assert pairs(client.post("/recommend", json=body)) == [expected[user] for user in users]


def test_queries_of_one_batch_keep_their_own_k_and_what_they_include(run):
    engine = Current(run, histories=False).loaded.engine
    one = engine.user_query("u3", 2)
    others = [engine.user_query("u3", 9, True), engine.similar_query(engine.items, 10, 4)]
    together = engine.answer([one, *others, engine.user_query("u4", 1)])
    assert [len(each) for each in together] == [2, 9, 4, 1]
    assert together[:3] == [*engine.answer([one]), *(engine.answer([q])[0] for q in others)]


def test_histories_are_embedded_as_by_the_encoder_and_left_out(client, model):
    histories = [[3, 10, 24], [24, 10, 3, 3], [52]]
    numbers = [(0, 1, 3), (0, 1, 3), (7,)]
    new_users = model.keras_model().encoder.new_users()
    import tensorflow as tf

    vectors = new_users(tf.ragged.constant([list(each) for each in numbers], dtype=tf.int32))
    answer = client.post("/embed", json={"histories": histories})
    np.testing.assert_array_equal(np.float32(answer.json()["embeddings"]), vectors.numpy())
    for include_seen, seen in ((False, rows_of(numbers, 60)), (True, rows_of([(), (), ()], 60))):
        top, scores = scored_items(vectors.numpy(), model.embeddings[1], seen, 5)
        expected = [
            [*zip(model.data.item_ids[row].tolist(), values.tolist(), strict=True)]
            for row, values in zip(top, scores, strict=True)
        ]
        body = {"histories": histories, "k": 5, "include_seen": include_seen}
        assert pairs(client.post("/recommend", json=body)) == expected


@pytest.mark.parametrize("kind", ["item", "user"])
def test_similar_ones_are_those_of_the_library(client, model, kind):
    ids = (model.items if kind == "item" else model.users).labels.tolist()
    found = pairs(client.post("/similar", json={f"{kind}s": ids, "k": 6}))
    library = model.similar_items if kind == "item" else model.similar_users
    expected = lists_of(library(k=6), kind, f"similar_{kind}")
    assert found == [expected[each] for each in ids]


def test_embeddings_are_those_of_the_run(client, model):
    users, items = model.embeddings
    for name, ids, table in (
        ("users", model.data.user_ids, users),
        ("items", model.data.item_ids, items),
    ):
        answer = client.post("/embed", json={name: ids[:5].tolist()}).json()
        np.testing.assert_array_equal(np.float32(answer["embeddings"]), table[:5])
        assert answer["run"] == "toy"


def test_an_approximate_search_has_exact_scores(run, model, monkeypatch):
    sizes = []
    search_index = ApproximateSearch.__call__

    def counted(self, queries, seen, k):
        sizes.append(len(queries))
        return search_index(self, queries, seen, k)

    monkeypatch.setattr(ApproximateSearch, "__call__", counted)
    users = ["u1", "u2", "u3"]
    histories = [model.items.labels[[3, 9]].tolist()]
    search = SearchSettings(approximate="hnsw")
    with client_of(run, search=search) as client, client_of(run) as exact:
        for body in ({"users": users}, {"users": users, "include_seen": True}):
            assert pairs(client.post("/recommend", json=body | {"k": 5})) == pairs(
                exact.post("/recommend", json=body | {"k": 5})
            )
        body = {"histories": histories, "k": 5}
        assert pairs(client.post("/recommend", json=body)) == pairs(
            exact.post("/recommend", json=body)
        )
    # One list is computed when the run is loaded.
    assert sizes == [1, 3, 3, 1]


def test_health_and_metrics(run):
    with client_of(run, histories=False) as client:
        about = client.get("/health").json()
        assert about.items() >= {
            "status": "ok", "run": "toy", "dataset": "toy", "users": 40, "items": 60, "problem": ""
        }.items()  # fmt: skip
        client.post("/recommend", json={"users": ["u1", "u2", "u3"]})
        client.post("/recommend", json={"users": ["nobody"]})
        for made_up in range(3):
            client.get(f"/path{made_up}")
        text = client.get("/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert lines['recns_requests_total{path="/recommend",status="200"}'] == "1.0"
    assert lines['recns_requests_total{path="/recommend",status="404"}'] == "1.0"
    assert lines['recns_requests_total{path="other",status="404"}'] == "3.0"
    assert lines["recns_batch_queries_sum"] == "3.0" and lines["recns_batch_queries_count"] == "1.0"
    assert float(lines['recns_run_loaded_timestamp_seconds{run="toy"}']) == pytest.approx(
        about["since"], rel=1e-6
    )


def test_the_description_has_every_path(client):
    described = client.get("/openapi.json").json()["paths"]
    assert set(described) == set(PATHS)
    assert {"400", "404", "413", "422", "503"} <= described["/recommend"]["post"][
        "responses"
    ].keys()


VALUES = [
    None, True, 1.5, -1, 0, "u1", "", [], {}, [[]], [None], [True], [1.5], [""], ["u1", None],
    [{"a": 1}], 10**30, [10**30], ["x" * 2_000], [["u1"]], "\ud800", ["\ud800"], ["\x00\n"],
    ["../../etc/passwd"], ["u1"] * 101,
]  # fmt: skip
WRONG = [
    *(("/recommend", {"users": value}) for value in VALUES),
    *(("/recommend", {"histories": value}) for value in VALUES),
    *(("/recommend", {"users": ["u1"], "k": value}) for value in [*VALUES, 1_001, 61, "5", 2.0]),
    *(
        ("/recommend", {"users": ["u1"], "include_seen": value})
        for value in VALUES
        if value is not True
    ),
    *(("/similar", {"items": value}) for value in VALUES),
    ("/similar", {"items": [3], "k": 60}),
    ("/similar", {"users": ["u1"], "k": 40}),
    *(("/embed", {"users": value}) for value in VALUES),
    *(("/embed", {"histories": [value]}) for value in VALUES),
    *(
        (path, body)
        for path in PATHS[:3]
        for body in ({}, {"users": ["u1"], "items": [3]}, {"users": ["u1"], "topk": 3}, [], "x", 7)
    ),
    ("/recommend", {"users": ["u1"], "histories": [[3]]}),
    ("/recommend", {"histories": [[3] * 1_001]}),
    ("/recommend", {"histories": [[4]]}),
]
TEXTS = [
    b"", b"{", b"[", b"nul", b"\xff\xfe", b'{"users": ["u1"], }', b"{'users': ['u1']}",
    b'{"users": [NaN]}', b'{"k": 1e999, "users": ["u1"]}', b'{"users": ["u1"]' + b" " * 100,
    b"[" * 100_000, b'{"users": [' + b"9" * 5_000 + b"]}", b'{"users": ["\\ud800"]}', b"\x00",
    b"users=u1&k=3",
]  # fmt: skip


def refused(answer):
    """Check that an answer is a refusal in one sentence."""
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text)
    assert answer.json().keys() == {"error"}
    sentence = answer.json()["error"]
    assert sentence.endswith(".") and not sentence.endswith("..") and "\n" not in sentence
    assert len(sentence) < 400 and "Traceback" not in sentence
    return sentence


def test_more_than_150_malformed_requests_are_refused_in_one_sentence(client):
    legal = [
        ("/recommend", {"users": ["u1"]}), ("/recommend", {"histories": [[3]]}),
        ("/similar", {"items": [3]}), ("/embed", {"users": ["u1"]}),
    ]  # fmt: skip
    assert all(client.post(path, json=body).status_code == 200 for path, body in legal)
    assert len(WRONG) > 150
    for path, body in WRONG:
        if body in [wanted for place, wanted in legal if place == path]:
            continue
        # A lone surrogate is legal in JSON as an escape.
        sent = json.dumps(body).encode()
        answer = client.post(path, content=sent, headers={"content-type": "application/json"})
        refused(answer)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_bodies_that_are_not_json_are_refused(client, text):
    for path in PATHS[:3]:
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
            refused(client.post(path, content=text, headers={"content-type": kind}))


@pytest.mark.parametrize(
    "path",
    [
        "/page",
        "/recommend/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/runs",
        "/%2Fhealth",
        "/é",
    ],
)
def test_other_paths_are_not_found(client, path):
    for send in (client.get, client.post):
        assert send(path).status_code == 404
        assert "choose one of /recommend, /similar" in refused(send(path))


def test_other_methods_are_refused(client):
    for path, method in itertools.product(PATHS, ("PUT", "DELETE", "PATCH")):
        answer = client.request(method, path)
        assert answer.status_code == 405 and "does not answer" in refused(answer)


def test_sentences_name_the_place_and_the_legal_values(client):
    def sentence(**body):
        return refused(client.post("/recommend", json=body))

    assert sentence(users=["u99"]) == "user 'u99' is not in the data of toy."
    assert sentence(histories=[[3, 4]]) == "item 4 is not in the data of toy."
    assert sentence(histories=[["3"]]) == "item '3' is not in the data of toy: did you mean 3."
    assert sentence(users=["u1"], k=0) == "k: input should be greater than or equal to 1."
    assert sentence(users=["u1"], k=61) == (
        "k: choose a whole number from 1 to 60, the number of items."
    )
    assert sentence(users=["u1", 1.5]).startswith("users.1: an id is a whole number, or a text of")
    assert sentence() == "one of users and histories is needed."
    assert sentence(user=["u1"]) == "user: extra inputs are not permitted."


@pytest.mark.parametrize("declared", [True, False])
def test_long_bodies_are_refused_before_they_are_read(client, monkeypatch, declared):
    whole = b'{"users": ["u1"], "k": 3' + b" " * 999_999
    taken = []

    def parts():
        for start in range(0, len(whole) * 10, 100_000):
            taken.append(start)
            yield whole[:1] * 100_000

    answer = client.post("/recommend", content=whole * 10 if declared else parts())
    assert answer.status_code == 413
    assert refused(answer) == "the body is longer than 1,000,000 bytes."
    fits = json.dumps({"users": ["u1"], "k": 3}).encode().ljust(app_module.BODY_BYTES)
    assert client.post(
        "/recommend", content=fits, headers={"content-type": "application/json"}
    ).is_success


def test_text_ids_are_answered_as_they_are(toy, tmp_path):
    data = with_text_ids(toy)
    with client_of(made_up_run(tmp_path / "made-up", data), histories=False) as client:
        (listed,) = pairs(client.post("/similar", json={"items": ["tv é3"], "k": 59}))
        assert {item for item, _ in listed} == set(data.item_ids.tolist()) - {"tv é3"}


def test_runs_that_cannot_embed_say_so(toy, toy_config, run, tmp_path):
    place = Workspace(runs_dir=str(tmp_path), run_name="popular")
    fit_and_evaluate("popular", toy_config, BaselineSettings(), place, toy)
    rt.load(tmp_path / "popular", data=toy).save(tmp_path / "saved")
    with client_of(tmp_path / "saved") as client:
        assert len(pairs(client.post("/recommend", json={"users": ["u3"], "k": 4}))[0]) == 4
        for path, body in (
            ("/similar", {"items": [3]}), ("/embed", {"users": ["u3"]}),
            ("/recommend", {"histories": [[3]]}),
        ):  # fmt: skip
            answer = client.post(path, json=body)
            assert answer.status_code == 400 and "has no embeddings" in refused(answer)
    with client_of(run, histories=False) as client:
        assert refused(client.post("/recommend", json={"histories": [[3]]})) == (
            "histories are not answered: start the service with --histories."
        )
