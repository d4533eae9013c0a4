"""Profiles the parts of a training step, and writes a trace of all operations.

The profiled steps use a separate model with the run's settings. Its operations carry the names of
their parts. Names change the order in which TensorFlow adds numbers, and so the last digits of
results; the run itself is therefore not profiled.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable
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


class Busy(NamedTuple):
    """Milliseconds per step, summed over all threads, forward and backward."""

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
    print(f"milliseconds per step, all threads, mean of {STEPS} steps; {run.profile}/")


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
        The time of each of ROWS.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    name_parts(model)
    step = tf.function(model.train_step, jit_compile=False)
    batches = iter(pipeline.batches())
    for _ in range(2):
        step(next(batches))
    with tf.profiler.experimental.Profile(str(folder)):
        for number in range(STEPS):
            with tf.profiler.experimental.Trace("step", step_num=number, _r=1):
                step(next(batches))
    (trace,) = folder.glob("plugins/profile/*/*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(trace.read_bytes())
    found = by_part(operations(space))
    write_text(folder / "table.md", "\n".join(as_markdown(found)) + "\n")
    return found


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

    The time of operations nested in another one on the same thread, such as in a loop, is not
    counted for the outer one.
    """
    for plane in space.planes:
        for line in plane.lines:
            known = (plane.event_metadata[event.metadata_id] for event in line.events)
            # Only graph operations have a display name, their type.
            events = [
                (event.offset_ps, -event.duration_ps, about.name)
                for event, about in zip(line.events, known, strict=True)
                if about.display_name
            ]
            yield from own_times(sorted(events))


def own_times(events: Iterable[tuple[int, int, str]]) -> Iterable[tuple[str, float]]:
    """Yield the name and own milliseconds of every event of one thread.

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
            milliseconds over STEPS steps.
    """
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for name, own in times:
        scopes = name.split("/")
        # TensorFlow numbers a scope that is entered more than once: encoding_1.
        named = [scope.rstrip("0123456789").rstrip("_") for scope in scopes]
        inner = [scope for scope in named if scope in PARTS]
        if inner:
            sums[inner[-1]][GRADIENT in named] += own / STEPS
        elif STEP in named:
            sums[PRODUCTS][True] += own / STEPS
        elif not name.startswith(ITERATOR):
            sums[INPUT][False] += own / STEPS
    return {row: Busy(*sums[row]) for row in ROWS}


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
