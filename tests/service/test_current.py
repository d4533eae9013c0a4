"""Another run takes over while the service answers."""

import asyncio
import os
import shutil
import threading
import time

import pytest
from fastapi.testclient import TestClient

from recns_tf.errors import UserError
from recns_tf.service.app import create_app
from recns_tf.service.current import Current, identity_of
from recns_tf.service.measures import Measures
from tests.serving.worlds import made_up_run

BODY = {"users": ["u3"], "k": 3}


@pytest.fixture
def place(toy, tmp_path):
    """A link to a run, and the folders of two runs with other embeddings."""
    for seed, name in enumerate(("first", "second")):
        made_up_run(tmp_path / name, toy, seed)
    (tmp_path / "live").symlink_to("first")
    return tmp_path


def point(place, name):
    """Make the link point to another folder, in one step."""
    (place / "new").symlink_to(name)
    os.replace(place / "new", place / "live")


def served(place):
    return Current(place / "live", histories=False)


def test_a_link_to_another_run_is_followed(place):
    current = served(place)
    assert current.loaded.engine.run.name == "first" and not asyncio.run(current.refresh())
    before = current.loaded.engine.answer([current.loaded.engine.user_query("u3", 3)])
    point(place, "second")
    assert asyncio.run(current.refresh())
    engine = current.loaded.engine
    assert engine.run.name == "second" and engine.answer([engine.user_query("u3", 3)]) != before
    assert not asyncio.run(current.refresh())


def test_a_run_that_is_replaced_in_its_folder_is_loaded_again(place, toy):
    current = Current(place / "first", histories=False)
    vectors = current.loaded.engine.model.embeddings[0].copy()
    shutil.rmtree(place / "first")
    assert identity_of(place / "first") is None and not asyncio.run(current.refresh())
    made_up_run(place / "first", toy, seed=5)
    assert asyncio.run(current.refresh())
    assert (current.loaded.engine.model.embeddings[0] != vectors).any()


def test_a_run_that_cannot_be_loaded_leaves_the_one_before_in_place(place):
    (place / "second" / "embeddings" / "user.npy").write_bytes(b"damaged")
    current = served(place)
    app = create_app(current, Measures(), reload=60)
    with TestClient(app) as client:
        point(place, "second")
        assert not asyncio.run(current.refresh())
        about = client.get("/health").json()
        assert (about["status"], about["run"]) == ("stale", "first")
        assert "user.npy" in about["problem"]
        assert client.post("/recommend", json=BODY).json()["run"] == "first"
        point(place, "first")
        (place / "first" / "results.json").touch()
        assert asyncio.run(current.refresh())
        assert client.get("/health").json()["status"] == "ok"


def test_the_first_run_must_be_whole(place):
    (place / "first" / "results.json").unlink()
    with pytest.raises(UserError, match="is not a finished run"):
        served(place)
    with pytest.raises(UserError, match="is not the folder of a run"):
        Current(place / "nothing")


def test_no_request_is_lost_while_runs_take_over(place):
    """Clients ask without a pause while the link moves; each answer is that of the run it names."""
    current = served(place)
    app = create_app(current, Measures(), reload=0.05)
    expected = {
        name: Current(place / name, histories=False).loaded.engine for name in ("first", "second")
    }
    answers, stop = [], threading.Event()
    with TestClient(app) as client:

        def ask():
            while not stop.is_set():
                answers.append(client.post("/recommend", json=BODY))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for name in ("second", "first", "second", "first"):
            point(place, name)
            end = time.monotonic() + 20
            while client.get("/health").json()["run"] != name:
                assert time.monotonic() < end
                time.sleep(0.01)
        stop.set()
        for thread in threads:
            thread.join()
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["run"] for answer in answers} == {"first", "second"}
    for answer in answers:
        engine = expected[answer.json()["run"]]
        (best,) = engine.answer([engine.user_query("u3", 3)])
        assert answer.json()["lists"] == [[each._asdict() for each in best]]
