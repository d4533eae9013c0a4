"""Profiles report the parts of a step and do not change the run."""

import dataclasses
from functools import partial

import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from recns_tf.config.config import Workspace
from recns_tf.training import profiling
from recns_tf.training.profiling import INPUT, PRODUCTS, ROWS, Busy, by_part, own_times
from recns_tf.training.train import train_and_evaluate

MILLISECOND = 10**9


def test_own_times_exclude_nested_events():
    events = [
        (0, -10, "loop"),
        (2, -3, "body"),
        (3, -1, "inner"),
        (7, -2, "body"),
        (10, -5, "next"),
    ]
    scaled = [(start * MILLISECOND, minus * MILLISECOND, name) for start, minus, name in events]
    found = sorted(own_times(scaled))
    assert found == [("body", 2), ("body", 2), ("inner", 1), ("loop", 5), ("next", 5)]
    assert sum(own for _, own in found) == 15


@pytest.mark.parametrize(
    ("name", "row", "backward"),
    [
        ("step/scoring/choosing/encoding/MatMul:MatMul", "encoding", False),
        ("step/scoring/choosing_1/Select:SelectV2", "choosing", False),
        ("gradient_tape/step/scoring/mul:Mul", "scoring", True),
        ("step/gradient_tape/step/loss_2/mul:Mul", "loss", True),
        ("step/updating/Adam/add:AddV2", "updating", False),
        ("step/SparseMatrixMatMul_1:SparseMatrixMatMul", PRODUCTS, True),
        ("UpperBound:UpperBound", INPUT, False),
    ],
)
def test_operation_belongs_to_its_innermost_part(name, row, backward):
    found = by_part([(name, 3.0 * profiling.STEPS)])
    assert found.pop(row) == (Busy(0, 3.0) if backward else Busy(3.0, 0))
    assert set(found.values()) == {Busy(0, 0)}


def plane_of(space, name, lines, texts):
    """Add a plane; `lines` has lists of (start ms, ms, name, type, name of the operation).

    An operation is named by a text, or by a reference to one if `texts` is False.
    """
    plane = space.planes.add(name=name)
    plane.stat_metadata[1].name = "tf_op"
    plane.stat_metadata[2].name = "kernel_details"
    number = 10
    for title, events in lines.items():
        line = plane.lines.add(name=title)
        for start, duration, about, kind, operation in events:
            number += 1
            plane.event_metadata[number].name = about
            plane.event_metadata[number].display_name = kind
            event = line.events.add(
                metadata_id=number,
                offset_ps=start * MILLISECOND,
                duration_ps=duration * MILLISECOND,
            )
            event.stats.add(metadata_id=2, str_value="step/loss/no:Name")
            if operation and texts:
                event.stats.add(metadata_id=1, str_value=operation)
            elif operation:
                plane.stat_metadata[1000 + number].name = operation
                event.stats.add(metadata_id=1, ref_value=1000 + number)


@pytest.mark.parametrize("texts", [True, False])
def test_work_of_a_device_counts_instead_of_its_launch(texts):
    product, choice = "step/encoding/MatMul:MatMul", "step/choosing/Where:Where"
    host = {
        "executor": [
            (0, 90, product, "MatMul", ""),
            (100, 4, choice, "Where", ""),
            (200, 90, product, "MatMul", ""),
        ],
        "python": [(0, 500, "a call", "", "")],
    }
    device = {
        "Stream #7(Compute)": [
            (40, 20, "gemm", "", product),
            (60, 10, "reduce", "", product),
            (240, 20, "gemm", "", product),
        ],
        "Stream #8(MemcpyD2H)": [(45, 3, "Memcpy", "", "")],
        "TensorFlow Ops": [(40, 30, "MatMul", "", "")],
    }
    space = xplane_pb2.XSpace()
    plane_of(space, "/host:CPU", host, texts)
    plane_of(space, "/device:GPU:0", device, texts)
    found = by_part(profiling.operations(space))
    steps = profiling.STEPS
    counted = {
        "encoding": Busy(50 / steps, 0),
        "choosing": Busy(4 / steps, 0),
        "other device work": Busy(3 / steps, 0),
    }
    assert found == dict.fromkeys(ROWS, Busy(0, 0)) | counted


def test_without_a_device_the_host_counts():
    space = xplane_pb2.XSpace()
    plane_of(space, "/host:CPU", {"one": [(0, 9, "step/loss/mul:Mul", "Mul", "")]}, True)
    assert by_part(profiling.operations(space)) == dict.fromkeys(ROWS, Busy(0, 0)) | {
        "loss": Busy(9 / profiling.STEPS, 0)
    }


def test_waiting_for_input_is_not_counted():
    found = by_part([("Iterator::Root::FlatMap[1]::Prefetch", 5.0)])
    assert set(found.values()) == {Busy(0, 0)}


@pytest.mark.slow
def test_every_profiled_step_is_waited_for_before_the_trace_ends(toy, toy_config, tmp_path):
    model, pipeline = profiling.past_warmup(
        dataclasses.replace(toy_config, encoder="mf"), toy, None
    )
    finish, stop, log = profiling.finish, tf.profiler.experimental.stop, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiling, "finish", lambda found: (log.append("waited"), finish(found)))
        patch.setattr(
            tf.profiler.experimental.Profile, "__exit__", lambda *_: (log.append("end"), stop())[:0]
        )
        profiling.profile(model, pipeline, tmp_path / "profile")
    assert log == ["waited"] * (2 + profiling.STEPS) + ["end"]


def test_waiting_reads_every_output():
    class Output:
        def numpy(self):
            read.append(self)

    read, outputs = [], {"loss": Output(), "seconds": Output()}
    profiling.finish(outputs)
    assert read == list(outputs.values())


@pytest.mark.slow
@pytest.mark.parametrize(("encoder", "sampler"), [("lightgcn", "recns"), ("pinsage", "advns")])
def test_profile_reports_every_part(toy, toy_config, tmp_path, encoder, sampler):
    config = dataclasses.replace(toy_config, encoder=encoder, sampler=sampler, epochs=1)
    model, pipeline = profiling.past_warmup(config, toy, None)
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile" / "old").touch()
    found = profiling.profile(model, pipeline, tmp_path / "profile")
    assert tuple(found) == ROWS
    for part in ("encoding", "choosing", "scoring", "loss", "updating", "reporting"):
        assert found[part].forward > 0, part
    assert (found["learning"].forward > 0) == (sampler == "advns")
    assert found["scoring"].backward + found[PRODUCTS].backward > 0
    assert found["choosing"].backward == 0
    table = (tmp_path / "profile" / "table.md").read_text()
    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == [f"| {row}" for row in ROWS]
    assert not (tmp_path / "profile" / "old").exists()


@pytest.mark.slow
def test_profiling_does_not_change_the_run(toy, toy_config, tmp_path, capsys):
    config = dataclasses.replace(toy_config, epochs=2)
    plain, profiled = (
        train_and_evaluate(config, Workspace(runs_dir=str(tmp_path / name)), toy, None, before)
        for name, before in (
            ("plain", None),
            ("profiled", partial(profiling.show, config, toy, None)),
        )
    )
    for key in ("valid", "test", "best_epoch", "negatives", "config"):
        assert profiled[key] == plain[key]
    assert "| choosing |" in capsys.readouterr().out
    assert list(tmp_path.glob("profiled/*/profile/plugins/profile/*/*.xplane.pb"))
    assert not list(tmp_path.glob("plain/*/profile"))
