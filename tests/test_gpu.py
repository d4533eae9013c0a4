"""A step, its timings, its memory and its state on a GPU; benchmarks/gpu.sh runs these tests."""

import dataclasses
import sys
from contextlib import nullcontext

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from recns_tf import registry
from recns_tf.ops import kernels
from recns_tf.training import profiling
from recns_tf.training.build import build
from recns_tf.utils import failures
from recns_tf.utils.devices import has_gpu
from tests.commands.test_train import call

pytestmark = pytest.mark.skipif(not has_gpu(), reason="TensorFlow sees no GPU")


@pytest.fixture(autouse=True)
def restored():
    """Leaves the choice of kernels as it was."""
    before = kernels.chosen
    yield
    kernels.use(before)


def ready(config, data):
    """Return a model past its warm-up, and its first batch."""
    model, pipeline, sets = build(config, data)
    sets.prepare(0)
    model.sampler.begin_epoch(config.generator_warmup, model.encoder)
    model.refresh()
    return model, next(iter(pipeline.batches()))


PROGRAM = """
import tensorflow as tf
from recns_tf.config.config import Config
from recns_tf.ops import kernels
from recns_tf.training.build import build
from tests.conftest import make_toy
build(Config(num_negatives=3, num_candidates=4), make_toy())
grow = map(tf.config.experimental.get_memory_growth, tf.config.get_visible_devices("GPU"))
print(all(grow), kernels.chosen)
"""


@pytest.mark.slow
def test_memory_grows_and_auto_takes_tensorflow():
    done = call(sys.executable, "-c", PROGRAM)
    assert done.stdout == "True tensorflow\n", done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("sampler", registry.SAMPLERS)
def test_a_step_agrees_with_that_of_the_cpu(sampler, toy, toy_config):
    """Negatives are the same; losses agree up to the rounding of another order of additions."""
    config = dataclasses.replace(toy_config, sampler=sampler, kernels="tensorflow")
    found = []
    for place in (nullcontext(), tf.device("CPU:0")):
        with place:
            model, batch = ready(config, toy)
            ids = model.forward(batch)[1].ids.numpy()
            step = tf.function(model.train_step, autograph=False)
            for _ in range(3):
                means = step(batch)
        assert float(means["sampling_seconds"]) > 0
        found.append((ids, float(means["loss"])))
    (ids, loss), (others, other_loss) = found
    np.testing.assert_array_equal(ids, others)
    assert loss == pytest.approx(other_loss, rel=1e-4)


@pytest.mark.parametrize("sampler", ["mcns", "srns", "advns"])
def test_weights_are_on_the_gpu_and_int32_state_is_not(sampler, toy, toy_config):
    model, _, _ = build(dataclasses.replace(toy_config, sampler=sampler), toy)
    for weight in (*model.encoder.weights, *model.sampler.weights):
        on_host = weight.dtype == "int32"
        assert weight.value.device.endswith("CPU:0" if on_host else "GPU:0"), weight.path


@pytest.mark.slow
def test_a_profile_counts_the_work_of_the_gpu(toy, toy_config, tmp_path):
    config = dataclasses.replace(toy_config, kernels="tensorflow")
    found = profiling.profile(*profiling.past_warmup(config, toy, None), tmp_path / "profile")
    for part in ("encoding", "choosing", "scoring", "loss", "updating"):
        assert found[part].forward > 0, part
    (trace,) = tmp_path.glob("profile/plugins/profile/*/*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(trace.read_bytes())
    events = [
        event
        for plane in space.planes
        if plane.name.startswith(profiling.DEVICE_PLANE)
        for line in plane.lines
        for event in profiling.device_events(plane, line)
    ]
    assert any(name.startswith("step/") for _, _, name in events)


def test_a_full_gpu_is_one_sentence():
    with pytest.raises(tf.errors.OpError) as caught, tf.device("GPU:0"):
        tf.zeros([2**40])
    assert failures.sentence(caught.value).startswith("out of memory on GPU:0: ")
