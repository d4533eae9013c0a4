"""A training step taken apart: propagation, choosing negatives, loss, optimiser, input.

Run: .venv/bin/python -m benchmarks.step [--shape=zhihu --encoder=lightgcn --sampler=recns]

`propagation` is forward and backward; `and choosing` is its forward part and the choice of
negatives; `loss and its gradient` is all but the optimiser. Settings are those of the encoder's
flagfile.
"""

from __future__ import annotations

from benchmarks import alternating, measuring
from benchmarks.graphs import Shape, random_interactions
from benchmarks.models import propagating, ready, slopes, stepping
from benchmarks.quiet import tf
from recns_tf.ops import random


def measure(shape: Shape, rounds: int, which: measuring.Model) -> measuring.Report:
    """Return the times of the parts beside propagation's."""
    its = ready(random_interactions(shape), which.encoder, which.sampler)
    model, batch, seed = its.model, next(its.batches), random.root(0)

    @tf.function(jit_compile=False)
    def forward() -> tf.Tensor:
        return model.encoder.encode(True, seed).frozen().users(tf.range(1))

    @tf.function(jit_compile=False)
    def choosing() -> tf.Tensor:
        tables = model.encoder.encode(True, seed)
        known = tables.stale_ok() if model.sampler.scores_large_pool else tables.frozen()
        return model.sampler.choose(batch, known, batch.seed).ids

    @tf.function(jit_compile=False)
    def gradient() -> list[tf.Tensor]:
        return slopes(model, lambda: model.compute(batch)["loss"])

    # An epoch's input is drawn ahead, while steps run: this is what it costs.
    draw = tf.function(lambda chosen: its.pipeline.draw(chosen, seed))
    functions = {
        "step": stepping(its),
        "propagation": propagating(its),
        "propagation, forward": forward,
        "and choosing": choosing,
        "loss and its gradient": gradient,
        "input": lambda: draw(batch.users),
    }
    return measuring.report(
        "step",
        f"{which.encoder} with {which.sampler}, batches of {its.config.batch_size:,}",
        shape,
        alternating.time_all(functions, rounds),
        "propagation",
        {"steps an epoch": its.pipeline.steps_per_epoch},
    )


if __name__ == "__main__":
    measuring.run(measure, measuring.Model)
