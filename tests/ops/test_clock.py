"""The clock waits for values of other devices; two logical CPUs stand in for a host and a GPU."""

import json
import subprocess
import sys

import pytest
import tensorflow as tf

from recns_tf.ops.clock import seconds_after
from tests.commands.test_train import ROOT

SLEEP = 0.3
PROGRAM = f"""
import json, sys, time
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tensorflow.python.eager import context
from recns_tf.config.config import Config
from recns_tf.training.build import build
from tests.conftest import make_toy

config = Config(
    dim=8, num_negatives=3, num_candidates=4, batch_size=64, sampler="dns", kernels="tensorflow"
)
model, pipeline, sets = build(config, make_toy())
batch = next(iter(pipeline.batches()))
choose = model.sampler.choose

def slow(ids):
    time.sleep({SLEEP})
    return ids

def choose_slowly(*arguments):
    found = choose(*arguments)
    ids = tf.ensure_shape(tf.py_function(slow, [found.ids], tf.int32), found.ids.shape)
    return found._replace(ids=ids)

model.sampler.choose = choose_slowly

@tf.function
def step(batch):
    with tf.device("CPU:1"):
        return model.train_step(batch)

context.context().enable_graph_collection()
seconds = float(step(batch)["sampling_seconds"])
parts = [
    part
    for function in context.context().export_run_metadata().function_graphs
    for part in function.partition_graphs
]
nodes = {{
    node.name: {{
        "op": node.op,
        "inputs": list(node.input),
        "device": node.device[-5:],
        "edge": node.attr["tensor_name"].s.decode(),
    }}
    for part in parts
    for node in part.node
}}
json.dump({{"seconds": seconds, "nodes": nodes}}, sys.stdout)
"""


def ancestors(nodes, name):
    """Return the names of all operations that a node depends on through data, in its partition."""
    found, todo = set(), [name]
    while todo:
        inputs = nodes[todo.pop()]["inputs"]
        new = {each.partition(":")[0] for each in inputs if not each.startswith("^")} - found
        found |= new
        todo += new
    return found


def carries_data(nodes, name):
    """Return whether a node receives a value; for a control dependency, a constant is sent."""
    if nodes[name]["op"] != "_Recv":
        return False
    (sent,) = (
        node["inputs"][0].partition(":")[0]
        for node in nodes.values()
        if node["op"] == "_Send" and node["edge"] == nodes[name]["edge"]
    )
    return nodes[sent]["op"] != "Const"


@pytest.mark.slow
def test_the_seconds_of_a_step_wait_for_data_of_the_other_device():
    """After all optimizations, each timestamp follows an operation on data that were sent."""
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["seconds"] >= SLEEP
    nodes = found["nodes"]
    clocks = [name for name, node in nodes.items() if node["op"] == "Timestamp"]
    assert len(clocks) == 2
    for clock in clocks:
        assert nodes[clock]["device"] == "CPU:0"
        waited_for = [each[1:] for each in nodes[clock]["inputs"]]
        read = {each for name in waited_for for each in ancestors(nodes, name)}
        assert any(carries_data(nodes, each) for each in read), waited_for


@pytest.mark.parametrize("value", [[[float("nan"), 1.0]], [float("inf")], [3], [[[True]]]])
def test_any_value_gives_the_time(value):
    before = tf.timestamp()
    times = [seconds_after(tf.constant(value)), tf.function(seconds_after)(tf.constant(value))]
    assert before <= times[0] <= times[1] <= tf.timestamp()
    assert times[0].dtype == tf.float64
