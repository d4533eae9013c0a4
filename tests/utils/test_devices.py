"""GPUs take memory as they need it, and running out of it is one sentence."""

import dataclasses

import pytest
import tensorflow as tf

from recns_tf.commands import app
from recns_tf.config.config import Workspace
from recns_tf.errors import UserError
from recns_tf.evaluation.search import search_tensorflow
from recns_tf.training.build import build
from recns_tf.training.sampled_rec import SampledRec
from recns_tf.training.train import train_and_evaluate
from recns_tf.utils import devices, failures

FULL_GPU = (
    "Graph execution error: OOM when allocating tensor with shape[60190,64] and type float on "
    "/job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc\n\t [[{{node mul}}]]"
)
SENTENCE = (
    "out of memory on GPU:0: choose a smaller --dim, --batch_size, --num_negatives or "
    "--num_candidates."
)


@pytest.fixture
def gpus(monkeypatch):
    """A function that pretends that there are GPUs, and returns the settings that they get."""

    def pretend(count, error=None):
        found = [tf.config.PhysicalDevice(f"/physical_device:GPU:{n}", "GPU") for n in range(count)]
        asked = []

        def set_memory_growth(device, enable):
            asked.append((device.name[-5:], enable))
            if error:
                raise error

        monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: found)
        monkeypatch.setattr(tf.config.experimental, "set_memory_growth", set_memory_growth)
        return asked

    return pretend


def test_every_visible_gpu_grows(gpus):
    asked = gpus(2)
    devices.grow_memory()
    assert asked == [("GPU:0", True), ("GPU:1", True)]


@pytest.mark.parametrize(
    "error", [RuntimeError("already initialized"), ValueError("virtual devices configured")]
)
def test_a_process_that_has_set_up_its_gpus_keeps_them(gpus, error):
    asked = gpus(1, error)
    devices.grow_memory()
    assert asked == [("GPU:0", True)]


def test_hidden_gpus_do_not_count(gpus):
    gpus(0)
    assert not devices.has_gpu()
    gpus(1)
    assert devices.has_gpu()


def test_models_and_rankings_start_with_it(gpus, toy, toy_config, monkeypatch):
    asked = gpus(1)
    monkeypatch.setattr("recns_tf.training.build.kernels.use", lambda *names: asked.append(names))
    config = dataclasses.replace(toy_config)
    object.__setattr__(config, "encoder", "none")
    with pytest.raises(UserError, match="unknown encoder"):
        build(config, toy)
    assert asked == [("GPU:0", True), (config.kernels, config.sparse_engine)]
    del asked[:]
    table = tf.eye(3).numpy()
    seen = toy.train[:3, :3]
    search_tensorflow(table, table, seen, 1)
    assert asked == [("GPU:0", True)]


@pytest.mark.parametrize(
    ("message", "start"),
    [
        (FULL_GPU, "out of memory on GPU:0: "),
        (FULL_GPU.replace("GPU:0", "GPU:3"), "out of memory on GPU:3: "),
        (FULL_GPU.replace("device:GPU:0 by allocator GPU_0_bfc", "device:CPU:0"), "out of memory:"),
        (
            "Failed copying input tensor from /job:localhost/replica:0/task:0/device:CPU:0 to "
            "/job:localhost/replica:0/task:0/device:GPU:0 in order to run Identity: Dst tensor is "
            "not initialized.",
            "out of memory on GPU:0: ",
        ),
        ("Out of memory while trying to allocate 16777216 bytes.", "out of memory: "),
        ("cuSolver call failed with status CUSOLVER_STATUS_ALLOC_FAILED", "out of memory: "),
        ("shapes differ on /job:localhost/replica:0/task:0/device:GPU:0", ""),
    ],
)
def test_a_full_device_is_named(message, start):
    error = tf.errors.InternalError(None, None, message)
    found = failures.sentence(error)
    assert found.startswith(start) and bool(found) == bool(start)


@pytest.mark.slow
@pytest.mark.parametrize("inside_the_graph", [False, True])
def test_a_full_gpu_in_training_ends_with_a_sentence_and_a_status(
    toy, toy_config, tmp_path, monkeypatch, inside_the_graph
):
    """An error of the step reaches the user through Keras, as it is or as one of a graph."""
    take = SampledRec.take_step

    def fail(*_):
        raise tf.errors.ResourceExhaustedError(None, None, FULL_GPU)

    def take_and_fail(self, data):
        found = take(self, data)
        if not inside_the_graph:
            fail()
        return found | {"loss": tf.numpy_function(fail, [found["loss"]], tf.float32)}

    monkeypatch.setattr(SampledRec, "take_step", take_and_fail)
    command = app.Command(
        about="",
        words="",
        example="",
        settings=(),
        run=lambda call: train_and_evaluate(toy_config, Workspace(runs_dir=str(tmp_path)), toy),
    )
    with pytest.raises(SystemExit) as stop:
        app.run(command, [], "x")
    assert stop.value.code.endswith(f": {SENTENCE}")
