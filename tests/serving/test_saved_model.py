"""What an exported model answers, against the library's own lists."""

import dataclasses
import runpy
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from scipy.sparse import csr_array
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from recns_tf import registry
from recns_tf.errors import UserError
from recns_tf.evaluation.scored_lists import scored_items
from recns_tf.interactions import make_interactions
from recns_tf.serving import saved_model
from recns_tf.serving.saved_model import SavedRecommender
from tests.graphs import operations
from tests.serving import worlds
from tests.test_docs import program

SETTINGS = {"num_neighbors": "4,2", "feature_dim": 5}


def make(data, config, name="lightgcn", topk=7, round_to=None):
    """Return a model that was saved and loaded, the encoder and its embeddings."""
    encoder = (
        registry.ENCODERS[name].load().from_settings(dataclasses.replace(config, **SETTINGS), data)
    )
    users, items = encoder.embeddings()
    if round_to:
        users, items = np.round(users / round_to) * round_to, np.round(items / round_to) * round_to
    return SavedRecommender(data, users, items, encoder.new_users(), topk), encoder, users, items


def reload(model, folder):
    saved_model.save(model, folder / "1")
    loaded = tf.saved_model.load(str(folder / "1"))
    return {name: call(function) for name, function in loaded.signatures.items()}, loaded


def call(function):
    def answer(**inputs):
        outputs = function(**{name: tensor(value) for name, value in inputs.items()})
        return {name: texts(value.numpy()) for name, value in outputs.items()}

    return answer


def tensor(values):
    values = tf.constant(values)
    return tf.cast(values, tf.int64) if values.dtype == tf.int32 else values


def texts(values):
    return np.char.decode(values.astype(bytes)) if values.dtype == object else values


def expected(data, users, items, seen, k, nothing):
    """Return item ids and scores by the library, padded as the model pads them."""
    numbers, scores = scored_items(users, items, seen, k)
    ids = np.where(numbers < 0, nothing, data.item_ids[np.maximum(numbers, 0)])
    return {"item_ids": ids, "scores": scores}


def assert_same(found, wanted):
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.fixture(params=["integers", "texts"])
def data(request, toy):
    if request.param == "texts":
        return worlds.with_text_ids(toy)
    return worlds.with_integer_ids(toy)


@pytest.fixture
def nothing(data):
    return -1 if data.item_ids.dtype.kind == "i" else ""


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.ENCODERS)
def test_lists_of_all_users_are_those_of_the_library(data, nothing, toy_config, tmp_path, name):
    model, encoder, users, items = make(data, toy_config, name)
    answers, _ = reload(model, tmp_path)
    found = answers["recommend_users"](user_ids=data.user_ids)
    seen = csr_array(data.train + data.valid + data.test)
    assert_same(found, expected(data, users, items, seen, 7, nothing))
    assert found["scores"].dtype == np.float32 and found["item_ids"].shape == (40, 7)
    assert_same(
        answers["serving_default"](user_ids=data.user_ids[:3]),
        {key: value[:3] for key, value in found.items()},
    )
    rows = csr_array(data.train[[3, 4, 0]])
    width = np.diff(rows.indptr).max()
    histories = np.full((3, width + 1), nothing, dtype=data.item_ids.dtype)
    for row in range(3):
        some = data.item_ids[rows[[row]].indices]
        # Padding may be anywhere.
        histories[row, width + 1 - len(some) :] = some[::-1]
    new = encoder.embed_new_users(rows)
    assert_same(
        answers["recommend_histories"](histories=histories),
        expected(data, new, items, rows, 7, nothing),
    )
    pairs = answers["score_pairs"](user_ids=data.user_ids[[5, 5, 9]], item_ids=data.item_ids[:3])
    scores = [
        np.float32(np.float64(users[u]) @ np.float64(items[i])) for u, i in ((5, 0), (5, 1), (9, 2))
    ]
    np.testing.assert_array_equal(pairs["scores"], scores)


@pytest.mark.slow
def test_exact_ties_go_to_the_lower_item_number(toy, toy_config, tmp_path):
    model, _, users, items = make(toy, toy_config, round_to=0.25, topk=25)
    seen = toy.positives
    wanted = expected(toy, users, items, seen, 25, -1)
    assert (np.diff(wanted["scores"], axis=1) == 0).mean() > 0.2, "there are many ties"
    answers, _ = reload(model, tmp_path)
    assert_same(answers["recommend_users"](user_ids=toy.user_ids), wanted)


@pytest.mark.slow
def test_scores_are_products_in_double_precision(toy, toy_config, tmp_path):
    """In float32, 1 + 2^-30 - 1 would be 0."""
    model, _, users, items = make(toy, toy_config)
    users, items = np.zeros_like(users), np.zeros_like(items)
    users[:, :3] = 1
    items[:, :3] = [1, 2**-30, -1]
    model.users.assign(users)
    model.items.assign(items)
    answers, _ = reload(model, tmp_path)
    found = answers["recommend_users"](user_ids=toy.user_ids[:2])
    assert (found["scores"] == np.float32(2**-30)).all()
    pair = answers["score_pairs"](user_ids=toy.user_ids[:1], item_ids=toy.item_ids[:1])
    assert pair["scores"].tolist() == [2**-30]


@pytest.mark.slow
def test_places_without_an_item_are_padded(toy_config, tmp_path):
    data = worlds.crowded()
    model, _, users, items = make(data, toy_config, topk=12)
    answers, _ = reload(model, tmp_path)
    found = answers["recommend_users"](user_ids=data.user_ids)
    assert_same(found, expected(data, users, items, data.positives, 12, -1))
    left = 9 - np.diff(data.positives.indptr)
    assert left.min() == 0 or left.min() < 5, "some users have hardly anything left"
    for row, count in enumerate(left):
        assert (found["item_ids"][row, count:] == -1).all()
        assert np.isneginf(found["scores"][row, count:]).all()
        assert np.isfinite(found["scores"][row, :count]).all()
        unseen = set(data.item_ids) - set(data.item_ids[data.positives[[row]].indices])
        assert set(found["item_ids"][row, :count]) == unseen
    everything = answers["recommend_histories"](histories=data.item_ids[None])
    assert (everything["item_ids"] == -1).all()


@pytest.mark.slow
def test_positives_of_every_part_are_left_out(toy, toy_config, tmp_path):
    model, *_ = make(toy, toy_config, topk=60)
    answers, _ = reload(model, tmp_path)
    found = answers["recommend_users"](user_ids=toy.user_ids)["item_ids"]
    for part in (toy.train, toy.valid, toy.test):
        for user in range(40):
            assert not set(toy.item_ids[part[[user]].indices]) & set(found[user])
    assert set(found[0]) == set(toy.item_ids), "user 0 has seen nothing"


@pytest.mark.slow
def test_unknown_ids_are_named(data, nothing, toy_config, tmp_path):
    model, *_ = make(data, toy_config)
    answers, _ = reload(model, tmp_path)
    users, items = data.user_ids[:2], data.item_ids[:2]
    strange = {"i": 123, "U": "straße"}
    user, item = strange[users.dtype.kind], strange[items.dtype.kind]
    for name, inputs, message in [
        ("recommend_users", {"user_ids": [users[0], user]}, f"[unknown user id:] [{user}]"),
        ("recommend_histories", {"histories": [[items[0], item]]}, f"[unknown item id:] [{item}]"),
        (
            "score_pairs",
            {"user_ids": users, "item_ids": [item, items[0]]},
            f"[unknown item id:] [{item}]",
        ),
        (
            "score_pairs",
            {"user_ids": [user, users[0]], "item_ids": items},
            f"[unknown user id:] [{user}]",
        ),
        ("score_pairs", {"user_ids": users[:1], "item_ids": items}, "differ in length"),
    ]:
        with pytest.raises(tf.errors.InvalidArgumentError) as error:
            answers[name](**inputs)
        assert message in str(error.value)
    padded = answers["recommend_histories"](histories=[[items[0], nothing]])
    assert_same(padded, answers["recommend_histories"](histories=[[items[0]]]))


@pytest.mark.slow
def test_batches_may_be_empty(toy, toy_config, tmp_path):
    model, *_ = make(toy, toy_config)
    answers, _ = reload(model, tmp_path)
    assert answers["recommend_users"](user_ids=tf.constant([], tf.string))["scores"].shape == (0, 7)
    histories = tf.zeros([0, 3], tf.int64)
    assert answers["recommend_histories"](histories=histories)["scores"].shape == (0, 7)


@pytest.mark.slow
def test_the_graph_calls_no_python(toy, toy_config, tmp_path):
    for name in registry.ENCODERS:
        model, *_ = make(toy, toy_config, name)
        saved_model.save(model, tmp_path / name)
        content = SavedModel.FromString((tmp_path / name / "saved_model.pb").read_bytes())
        found = operations(content.meta_graphs[0].graph_def)
        assert not [op for op in found if "Py" in op or "Numpy" in op]
        assert {"TopKV2", "LookupTableFindV2"} <= found


ALONE = """
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("recns_tf", "numba", "scipy", "faiss"):
            raise ImportError(name)

sys.meta_path.insert(0, Refused())
import numpy as np
import tensorflow as tf

signatures = tf.saved_model.load(sys.argv[1]).signatures
users = tf.constant([f"u{n}" for n in range(40)])
np.savez(sys.argv[2], **signatures["serving_default"](user_ids=users))
assert not {"recns_tf", "numba"} & set(sys.modules)
"""


@pytest.mark.slow
def test_the_model_answers_in_a_process_with_tensorflow_alone(toy, toy_config, tmp_path):
    model, _, users, items = make(toy, toy_config, "mf")
    saved_model.save(model, tmp_path / "1")
    (tmp_path / "alone.py").write_text(ALONE, encoding="utf-8")
    words = [sys.executable, "alone.py", "1", "found.npz"]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    with np.load(tmp_path / "found.npz") as found:
        assert_same(dict(found), expected(toy, users, items, toy.positives, 7, -1))


def test_an_item_with_the_id_of_none_is_refused(toy, toy_config):
    ids = toy.item_ids.copy()
    ids[4] = -1
    with pytest.raises(UserError, match="toy has an item with the id '-1', which stands for no"):
        make(dataclasses.replace(toy, item_ids=ids), toy_config)


def test_ids_that_fit_no_graph_are_refused(toy, toy_config, monkeypatch):
    monkeypatch.setattr(saved_model, "LARGEST_IDS", 1_000)
    with pytest.raises(UserError, match=r"the ids of toy take .* GB in an exported model"):
        make(toy, toy_config)
    huge = np.arange(40, dtype=np.uint64) + 2**63
    monkeypatch.undo()
    with pytest.raises(UserError, match="the user id 9223372036854775847 is above 92233720368547"):
        make(dataclasses.replace(toy, user_ids=huge), toy_config)


@pytest.mark.slow
def test_users_without_any_seen_item(toy_config, tmp_path):
    """No index of the seen items is past their end."""
    none = np.zeros((0, 2))
    data = make_interactions(
        "few",
        train=np.array([[0, 1]]),
        valid=none,
        test=none,
        exposed=none,
        user_ids=np.array([5, 6, 7]),
        item_ids=np.array([1, 2, 3]),
        source={},
    )
    model, *_ = make(data, toy_config, topk=3)
    answers, _ = reload(model, tmp_path)
    found = answers["recommend_users"](user_ids=data.user_ids)["item_ids"]
    assert (np.sort(found[1:], axis=1) == [1, 2, 3]).all()
    assert set(found[0]) == {1, 3, -1}


@pytest.mark.slow
def test_program_of_the_docs_runs(toy, toy_config, tmp_path, monkeypatch, capsys):
    data = dataclasses.replace(toy, user_ids=np.arange(40) * 6 - 8)
    model, _, users, items = make(data, toy_config)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "served" / "movies").mkdir(parents=True)
    saved_model.save(model, tmp_path / "served" / "movies" / "1")
    (tmp_path / "serve.py").write_text(program("docs/serving.md"), encoding="utf-8")
    found = runpy.run_path("serve.py")["answer"]
    rows = [34, 5]
    assert data.user_ids[rows].tolist() == [196, 22]
    wanted = expected(data, users[rows], items, csr_array(data.positives[rows]), 7, -1)
    assert_same({name: value.numpy() for name, value in found.items()}, wanted)
    assert str(wanted["item_ids"][0, 0]) in capsys.readouterr().out
