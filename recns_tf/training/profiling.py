"""Profiles the parts of a training step, and writes a trace of all operations.

The profiled steps use a separate model with the run's settings. Its operations carry the names of
their parts. Names change the order in which TensorFlow adds numbers, and so the last digits of
results; the run itself is therefore not profiled.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from recns_tf.config.config import Config
from recns_tf.interactions import Interactions
from recns_tf.runs.folder import RunFolder
from recns_tf.training.build import build
from recns_tf.training.pipeline import Pipeline
from recns_tf.training.sampled_rec import SampledRec
from recns_tf.utils import markdown
from recns_tf.utils.files import write_text

STEPS = 10
"""Number of profiled steps, after one that traces and one that warms up."""

ENCODING, CHOOSING, SCORING = "encoding", "choosing", "scoring"
LOSS, LEARNING, UPDATING, REPORTING = "loss", "learning", "updating", "reporting"
PARTS = (ENCODING, CHOOSING, SCORING, LOSS, LEARNING, UPDATING, REPORTING)
STEP, GRADIENT, ITERATOR = "step", "gradient_tape", "Iterator::"
"""Scopes of a whole step and of its gradients; prefix of operations that only wait for input."""

PRODUCTS = "sparse products"
"""Operations of a step outside all parts: the custom gradients of sparse products are unnamed."""

INPUT = "input"
ROWS = (*PARTS, PRODUCTS, INPUT)

UNNAMED = "other device work"
"""A further row, for what a device does for no operation, such as copies; absent without any."""

OPERATION = "tf_op"
"""Statistic of a device's event that names its operation, as the event on the host does."""
DEVICE_PLANE, STREAM = "/device:", "Stream"
"""Prefixes of the names of a device's plane, and of a line of it that holds its own events."""


class Busy(NamedTuple):
    """Milliseconds per step, summed over all threads and streams, forward and backward."""

    forward: float
    backward: float


def show(config: Config, interactions: Interactions, cache: Path | None, run: RunFolder) -> None:
    """Profile a model like a run's, after any warm-up, and print the table of its parts.

    Args:
        config: all settings.
        interactions: the dataset.
        cache: folder of cached regions, if any.
        run: folder of the run, in which `profile` writes profile/.
    """
    print("\n".join(as_markdown(profile(*past_warmup(config, interactions, cache), run.profile))))
    print(f"milliseconds per step, all threads and streams, mean of {STEPS} steps; {run.profile}/")


def past_warmup(
    config: Config, interactions: Interactions, cache: Path | None
) -> tuple[SampledRec, Pipeline]:
    """Return a model whose sampler is past any warm-up, and its batches."""
    model, pipeline, candidate_sets = build(config, interactions, cache)
    candidate_sets.prepare(0)
    model.sampler.begin_epoch(config.generator_warmup, model.encoder)
    return model, pipeline


def profile(model: SampledRec, pipeline: Pipeline, folder: Path) -> dict[str, Busy]:
    """Profile some steps of a model, and write a trace and a table of its parts.

    Args:
        model: a model that is ready to train; profiling trains it.
        pipeline: its batches.
        folder: output folder; existing content is deleted. The trace,
            `plugins/profile/…/*.xplane.pb`, can be viewed with TensorBoard's profile plug-in.

    Returns:
        The time of each of ROWS, and of UNNAMED if there is any.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    name_parts(model)
    step = tf.function(model.train_step, jit_compile=False, autograph=False)
    batches = iter(pipeline.batches())
    for _ in range(2):
        finish(step(next(batches)))
    with tf.profiler.experimental.Profile(str(folder)):
        for number in range(STEPS):
            with tf.profiler.experimental.Trace("step", step_num=number, _r=1):
                finish(step(next(batches)))
    (trace,) = folder.glob("plugins/profile/*/*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(trace.read_bytes())
    found = by_part(operations(space))
    write_text(folder / "table.md", "\n".join(as_markdown(found)) + "\n")
    return found


def finish(outputs: dict[str, tf.Tensor]) -> None:
    """Wait for a step; one on a GPU returns when its work is launched, and not when it is done."""
    for output in outputs.values():
        output.numpy()


def name_parts(model: SampledRec) -> None:
    """Wrap the methods of a model so that new operations carry the names of their parts."""
    for part, owner, methods in (
        (STEP, model, ("train_step",)),
        (ENCODING, model.encoder, ("encode", "propagate", "layer")),
        (CHOOSING, model.sampler, ("choose",)),
        (SCORING, model.sampler, ("sample",)),
        (LOSS, model, ("ranking_loss", "penalty")),
        (LEARNING, model.sampler, ("update_state",)),
        (UPDATING, model.optimizer, ("apply",)),
        (REPORTING, model, ("report",)),
        *((REPORTING, mean, ("update_state",)) for mean in model.metrics),
    ):
        for method in methods:
            if hasattr(owner, method):
                setattr(owner, method, scoped(part, getattr(owner, method)))


def scoped(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function wrapped in the name scope of a part."""

    @wraps(function)
    def named(*arguments: Any, **keywords: Any) -> Any:
        with tf.name_scope(part):
            return function(*arguments, **keywords)

    return named


def operations(space: xplane_pb2.XSpace) -> Iterable[tuple[str, float]]:
    """Yield the name and own milliseconds of every operation of a trace.

    An operation with work on a device counts with the time of that work: what the host does for it
    is only the launch. What a device does for no operation has the name "".

    The time of operations nested in another one on the same thread, such as in a loop, is not
    counted for the outer one.
    """
    on_device: set[str] = set()
    for plane in space.planes:
        if plane.name.startswith(DEVICE_PLANE):
            for line in plane.lines:
                events = list(device_events(plane, line))
                on_device |= {name for _, _, name in events}
                yield from own_times(sorted(events))
    for plane in space.planes:
        if not plane.name.startswith(DEVICE_PLANE):
            for line in plane.lines:
                for name, own in own_times(sorted(host_events(plane, line))):
                    if name not in on_device:
                        yield name, own


Event = tuple[int, int, str]
"""Start, negative duration and name of an event, in picoseconds; sorts an outer one first."""


def host_events(plane: xplane_pb2.XPlane, line: xplane_pb2.XLine) -> Iterator[Event]:
    """Yield the operations of a thread; only they have a display name, their type."""
    for event in line.events:
        about = plane.event_metadata[event.metadata_id]
        if about.display_name:
            yield event.offset_ps, -event.duration_ps, about.name


def device_events(plane: xplane_pb2.XPlane, line: xplane_pb2.XLine) -> Iterator[Event]:
    """Yield the work of a stream by the names of its operations, "" for none.

    Lines that are no stream repeat the work in coarser parts, without the statistic.
    """
    for event in line.events:
        found = plane.event_metadata[event.metadata_id].stats, event.stats
        names = [text_of(plane, stat) for stats in found for stat in stats if is_name(plane, stat)]
        if names or line.name.startswith(STREAM):
            yield event.offset_ps, -event.duration_ps, names[-1] if names else ""


def is_name(plane: xplane_pb2.XPlane, stat: xplane_pb2.XStat) -> bool:
    """Return whether a statistic is the name of an operation."""
    return bool(plane.stat_metadata[stat.metadata_id].name == OPERATION)


def text_of(plane: xplane_pb2.XPlane, stat: xplane_pb2.XStat) -> str:
    """Return the text of a statistic, which it holds or refers to."""
    if stat.WhichOneof("value") == "ref_value":
        return str(plane.stat_metadata[stat.ref_value].name)
    return str(stat.str_value)


def own_times(events: Iterable[Event]) -> Iterable[tuple[str, float]]:
    """Yield the name and own milliseconds of every event of one thread or stream.

    Args:
        events: (start, negative duration, name) with times in picoseconds, sorted.
    """
    within: list[list[Any]] = []
    for start, minus, name in events:
        while within and within[-1][0] <= start:
            yield within[-1][1], within.pop()[2] / 1e9
        if within:
            within[-1][2] += minus
        within.append([start - minus, name, -minus])
    for _, name, own in within:
        yield name, own / 1e9


def by_part(times: Iterable[tuple[str, float]]) -> dict[str, Busy]:
    """Return the milliseconds per step of each part.

    An operation belongs to the innermost part in its name.

    Args:
        times: names of operations, such as "gradient_tape/scoring/encoding/mul:Mul", and their
            milliseconds over STEPS steps; the name "" is of UNNAMED.
    """
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for name, own in times:
        scopes = name.split("/")
        # TensorFlow numbers a scope that is entered more than once: encoding_1.
        named = [scope.rstrip("0123456789").rstrip("_") for scope in scopes]
        inner = [scope for scope in named if scope in PARTS]
        if inner:
            sums[inner[-1]][GRADIENT in named] += own / STEPS
        elif not name:
            sums[UNNAMED][False] += own / STEPS
        elif STEP in named:
            sums[PRODUCTS][True] += own / STEPS
        elif not name.startswith(ITERATOR):
            sums[INPUT][False] += own / STEPS
    rows = (*ROWS, UNNAMED) if UNNAMED in sums else ROWS
    return {row: Busy(*sums[row]) for row in rows}


def as_markdown(found: dict[str, Busy]) -> list[str]:
    """Return the lines of a table of the parts."""
    total = sum(map(sum, found.values())) or 1.0
    return markdown.table(
        ("part", "forward, ms", "backward, ms", "share"),
        (
            (part, f"{busy.forward:.1f}", f"{busy.backward:.1f}", f"{sum(busy) / total:.1%}")
            for part, busy in found.items()
        ),
    )
