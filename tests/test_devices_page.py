"""docs/devices.md: its tables are those of the benchmarks, and its script runs."""

import json
import re
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import floor, placement
from benchmarks.placement import NO_KERNEL, ON_HOST, Placement
from recns_tf.commands import app
from recns_tf.registry import COMMANDS, DATASETS, ENCODERS
from tests.commands.test_train import ROOT, call

PAGE = (ROOT / "docs" / "devices.md").read_text(encoding="utf-8")
SCRIPT = ROOT / "benchmarks" / "gpu.sh"


def test_operations_without_a_kernel_or_with_data_on_the_host_are_found():
    """Known of TensorFlow: int32 sums are on the host, and int32 variables not on a GPU."""
    state = tf.Variable(tf.zeros([40, 3], tf.int32))
    table = tf.Variable(tf.zeros([40, 3]))

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([20, 3])], autograph=False
    )
    def step(ids, values):
        table.scatter_add(tf.IndexedSlices(values, ids))
        state.scatter_update(tf.IndexedSlices(tf.cast(values, tf.int32), ids))
        few = tf.range(3) + 1
        looped = tf.while_loop(
            lambda n, _: n < 3, lambda n, x: (n + 1, x * ids), [tf.constant(0), ids]
        )
        return tf.matmul(values, values, transpose_b=True), ids + 1, few, looped

    found = placement.placements(step.get_concrete_function().graph)
    assert found >= {
        Placement("ResourceScatterUpdate", ("int32",), NO_KERNEL),
        Placement("AddV2", ("int32",), ON_HOST),
        Placement("Mul", ("int32",), ON_HOST),
    }
    names = {each.operation for each in found}
    assert not names & {"MatMul", "ResourceScatterAdd", "Cast", "Range", "ReadVariableOp"}
    assert {each.operation for each in found if each.why == NO_KERNEL} == {"ResourceScatterUpdate"}


@pytest.mark.slow
def test_the_page_lists_all_operations_with_data_on_the_host():
    """The lines are those of all samplers; the names of some rows are in the page once."""
    lines = placement.table()
    assert "\n".join(lines) in PAGE
    assert PAGE.count(f"| {NO_KERNEL} |") + PAGE.count(f"| {ON_HOST} |") == len(lines) - 2


PROGRAM = """
import dataclasses, json, sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from benchmarks import placement
from recns_tf.config.config import Config
from recns_tf.training.build import build
from tests.conftest import make_toy

config = Config(dim=8, num_negatives=3, num_candidates=4, batch_size=64, kernels="tensorflow")
places, missing = [], []
for sampler in ("mcns", "srns", "advns", "rns-as"):
    with tf.device("CPU:1"):
        model, pipeline, _ = build(dataclasses.replace(config, sampler=sampler), make_toy())
    for weight in (*model.weights, *model.optimizer.variables):
        places.append([weight.path, weight.dtype, weight.value.device[-5:]])
    step = tf.function(model.train_step, autograph=False)
    graph = step.get_concrete_function(next(iter(pipeline.batches()))).graph
    missing += [
        tf.as_dtype(each.node_def.attr["dtype"].type).name
        for each in placement.operations(graph)
        if any(tensor.dtype == tf.resource for tensor in each.inputs)
        and each.node_def.attr["dtype"].type
        and placement.gpu_kernel(each) is None
    ]
json.dump([places, sorted(set(missing))], sys.stdout)
"""


@pytest.mark.slow
def test_the_weights_without_kernels_for_a_gpu_are_kept_on_the_host():
    """The model is built on another logical device than the host's."""
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    places, missing = json.loads(done.stdout)
    assert missing == ["int32"], "operations on variables of other types have kernels"
    assert {kind for _, kind, _ in places} >= {"int32", "int64", "float32"}
    for path, kind, device in places:
        assert device == ("CPU:0" if kind == "int32" else "CPU:1"), path


def test_the_floor_is_that_of_the_formulas_in_the_page():
    """Worked out by hand for a graph of 10 nodes and 20 entries, d = 2, L = 1, B = 3, k = 4."""
    step = floor.Step(10, 20, dim=2, layers=1, batch=3, negatives=4, candidates=5)
    # T = 80, A = 160 + 44 = 204, R = 8.
    assert floor.parts(step) == {
        "propagation": 2 * (204 + 560 + 160),
        "choosing": 3 * 2 * 15 * 8,
        "scores": 10 * 15 * 8,
        "penalty": 480,
        "Adam": 560,
        "propagation without a cache": 1848 + 2 * (160 - 80),
    }
    assert "\n".join(floor.table(floor.zhihu())) in PAGE
    assert floor.zhihu() == (60_190, 5_260_000, 64, 3, 8192, 15, 20)
    # 5.26 million entries of 8 bytes, 60,191 row starts, and tables of 60,190 x 64 numbers.
    table, matrix = 15_408_640, 42_320_764
    megabytes = 2 * (3 * (matrix + 7 * table) + 2 * table) / 1e6
    row = next(line for line in PAGE.splitlines() if line.startswith("| propagation |"))
    cells = [float(cell.replace(",", "")) for cell in row.split("|")[2:-1]]
    expected = [megabytes, *(megabytes / 1e3 / speed for speed in (3.35, 2.0, 1.55, 0.32))]
    np.testing.assert_allclose(cells, expected, rtol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["unins", "recns"])
def test_the_page_counts_the_kernels_of_a_step(sampler):
    interactions = floor.random_interactions(placement.SHAPE)
    count = floor.launches(placement.step_graph(interactions, sampler))
    name = {"unins": "UniNS", "recns": "RecNS"}[sampler]
    found = re.search(rf"with\s{name}\s(?:has\s)?some\s(\d+)", PAGE)
    assert int(found[1]) == pytest.approx(count, rel=0.1)


def script_calls():
    """Return the words of every call of Python in the script."""
    text = SCRIPT.read_text(encoding="utf-8").replace("\\\n", " ")
    text = text.replace("$found", "out").replace('"', "")
    return [line.split() for line in re.findall(r"\$python (-m .*)$", text, re.MULTILINE)]


def test_the_commands_and_files_of_the_script_exist():
    lines = {line[1]: [] for line in script_calls()}
    for line in script_calls():
        lines[line[1]].append(line[2:])
    assert lines.keys() == {"pip", "pytest", "recns_tf"}
    for word in (word for line in lines["pytest"] for word in line if word.startswith("tests/")):
        assert (ROOT / word).exists()
    assert len(lines["recns_tf"]) == 3
    for line in lines["recns_tf"]:
        name = line[0] if line[0] in COMMANDS else "train"
        words = line[1:] if line[0] in COMMANDS else line
        command = COMMANDS[name].load()
        parsed = app.parse(command, words, name)
        for settings in command.settings:
            parsed.settings(settings)
        if name == "train":
            assert parsed.words[0] in DATASETS and parsed.words[1] in ENCODERS
        else:
            from benchmarks.bench import WHATS

            assert set(parsed.words) <= WHATS.keys()


def fakes(folder, *, card=True, fails=""):
    """Put a card and a Python into a folder; a call with the text `fails` in it fails."""
    folder.mkdir()
    (folder / "nvidia-smi").write_text(f"#!/bin/bash\necho 'A card, 1.2'\nexit {int(not card)}\n")
    (folder / "python").write_text(
        "#!/bin/bash\n"
        f'echo "$*" >>{folder}/log\n'
        'if [[ "$2" == venv ]]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi\n'
        f'if [[ -n "{fails}" && "$*" == *"{fails}"* ]]; then echo broken; exit 3; fi\n'
    )
    for each in folder.iterdir():
        each.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "PYTHON": str(folder / "python")}


def test_the_script_packs_what_it_finds(tmp_path):
    assert call("bash", "-n", SCRIPT).returncode == 0
    environment = fakes(tmp_path / "fakes")
    done = call(SCRIPT, "out.tar.gz", cwd=tmp_path, **environment, TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "out.tar.gz") as packed:
        names = set(packed.getnames())
        assert packed.extractfile("gpu/card.csv").read() == b"A card, 1.2\n"
        assert packed.extractfile("gpu/failed.txt").read() == b"none\n"
    assert names >= {f"gpu/{each}.txt" for each in ("tests", "kernels", "step", "training")}
    log = (tmp_path / "fakes" / "log").read_text()
    assert re.search(r"pip install .*tensorflow\[and-cuda\]>=\d.* --editable \.\[test\]", log)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fakes", "out.tar.gz"]


def test_a_failed_part_is_noted_and_the_others_run(tmp_path):
    environment = fakes(tmp_path / "fakes", fails="bench kernels")
    done = call(SCRIPT, "out.tar.gz", cwd=tmp_path, **environment, TMPDIR=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.endswith(f"failed: kernels; their messages are in {tmp_path}/out.tar.gz.\n")
    assert "ml-100k lightgcn" in (tmp_path / "fakes" / "log").read_text()
    with tarfile.open(tmp_path / "out.tar.gz") as packed:
        assert packed.extractfile("gpu/kernels.txt").read() == b"broken\n"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"card": False}, "gpu.sh: no NVIDIA GPU was found: run it where nvidia-smi lists one.\n"),
        ({"fails": "list_physical_devices"}, "gpu.sh: TensorFlow sees no GPU: update the driver; "),
    ],
)
def test_without_a_gpu_the_script_stops_with_a_sentence(tmp_path, settings, sentence):
    done = call(SCRIPT, cwd=tmp_path, **fakes(tmp_path / "fakes", **settings))
    assert done.returncode == 1
    assert done.stderr.startswith(sentence) and done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("*.tar.gz"))
