"""Tasks on a Ray cluster: their order, their number, and what goes wrong."""

import importlib.util
import socket
import time

import numpy as np
import pytest

from recns_tf.config.cluster import ClusterSettings
from recns_tf.errors import UserError
from recns_tf.utils import ray_tasks
from recns_tf.utils.ray_tasks import AHEAD, connected, ordered_results
from tests.utils import ray_functions

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def connection(request):
    with connected(request.getfixturevalue("ray_cluster").address):
        yield


def results(function, tasks, shared=None):
    return ordered_results(function, tasks, shared=shared, description="tasks")


def test_results_are_in_order_and_shared_arrays_are_read_only():
    values = np.arange(100_000) ** 2
    found = list(results(ray_functions.wait_longer_if_earlier, range(6), values))
    assert found == [(task, task**2, False, 1) for task in range(6)]


def test_tasks_wait_until_results_are_read(tmp_path):
    found = results(ray_functions.note, range(40), str(tmp_path))
    assert next(found) == 0
    time.sleep(1)
    cores = 2
    assert len(list(tmp_path.iterdir())) == AHEAD * cores
    assert list(found) == list(range(1, 40))


def test_an_error_of_a_task_is_raised_unchanged():
    found = results(ray_functions.fail, range(5))
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(UserError) as error:
        next(found)
    assert type(error.value) is UserError and str(error.value) == "the third task fails."


def test_a_task_runs_again_if_its_process_dies(tmp_path):
    assert list(results(ray_functions.die_once, range(3), str(tmp_path))) == [0, 1, 2]
    assert (tmp_path / "died-1").exists()


def test_a_task_whose_process_always_dies_is_an_error(monkeypatch):
    monkeypatch.setattr(ray_tasks, "RETRIES", 1)
    with pytest.raises(UserError, match=r"the Ray cluster lost a task 2 times \(WorkerCrashed"):
        list(results(ray_functions.die, range(1)))


@pytest.mark.parametrize("answers", [False, True])
def test_a_lost_cluster_is_noticed(monkeypatch, answers):
    looks = []

    def look(address):
        looks.append(address)
        if not answers or len(looks) % ray_tasks.LOOKS == 0:
            raise ConnectionRefusedError

    monkeypatch.setattr(ray_tasks, "SECONDS", 0.05)
    monkeypatch.setattr(ray_tasks, "require_answer", look)
    found = results(ray_functions.wait, range(1))
    if answers:
        assert list(found) == [None] and len(looks) > ray_tasks.LOOKS
    else:
        with pytest.raises(UserError, match=r"the Ray cluster at .* does not answer any more"):
            list(found)
        assert len(looks) == ray_tasks.LOOKS


def test_a_connection_that_was_open_stays_open():
    import ray

    with connected():
        pass
    assert ray.is_initialized()


def test_an_address_where_nothing_answers_is_an_error(monkeypatch):
    import ray

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with (
        pytest.raises(UserError, match=rf"--address=127.0.0.1:{port}: choose HOST:PORT of a"),
        connected(f"127.0.0.1:{port}"),
    ):
        pass


@pytest.mark.parametrize("address", ["host", "host:", ":1", "host:65536", "a b:1", "ray://a:1"])
def test_illegal_addresses_are_errors(address):
    with pytest.raises(UserError, match=r"--address=.*: choose HOST:PORT"):
        ClusterSettings(engine="ray", address=address)


def test_settings_that_need_something_else_say_so(monkeypatch):
    assert ClusterSettings(engine="ray", address="10.0.0.5:65535").engine == "ray"
    with pytest.raises(UserError, match=r"--address=a:1 is for a Ray cluster: add --engine=ray\."):
        ClusterSettings(address="a:1")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    ClusterSettings().require_packages()
    with pytest.raises(UserError, match=r"pip install 'recns-tf\[cluster\]'"):
        ClusterSettings(engine="ray").require_packages()
