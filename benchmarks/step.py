"""The parts of a training step: propagation, choosing negatives, loss, optimizer, input.

Run: .venv/bin/python -m benchmarks.step [--shape=zhihu --encoder=lightgcn --sampler=recns]

`propagation` is forward and backward. `and choosing` is the forward propagation and the choice of
negatives. `loss and its gradient` is everything except the optimizer. Settings are those of the
encoder's flagfile.
"""

from __future__ import annotations

from benchmarks import alternating, measuring
from benchmarks.graphs import Shape, random_interactions
from benchmarks.models import gradients, make_propagation, make_ready_model, make_step
from benchmarks.quiet import tf
from recns_tf.ops import random


def measure(shape: Shape, rounds: int, chosen: measuring.Model) -> measuring.Report:
    """Measure the parts of a step, relative to propagation."""
    ready = make_ready_model(random_interactions(shape), chosen.encoder, chosen.sampler)
    model, batch, seed = ready.model, next(ready.batches), random.root(0)

    @tf.function(jit_compile=False, autograph=False)
    def forward() -> tf.Tensor:
        return model.encoder.encode(True, seed).frozen().users(tf.range(1))

    @tf.function(jit_compile=False, autograph=False)
    def choosing() -> tf.Tensor:
        tables = model.encoder.encode(True, seed)
        known = tables.stale_ok() if model.sampler.scores_large_pool else tables.frozen()
        return model.sampler.choose(batch, known, batch.seed).ids

    @tf.function(jit_compile=False, autograph=False)
    def gradient() -> list[tf.Tensor]:
        return gradients(model, lambda: model.compute(batch)["loss"])

    # Input is drawn ahead while steps run; this measures its cost.
    draw = tf.function(lambda pairs: ready.pipeline.draw(pairs, seed), autograph=False)
    functions = {
        "step": make_step(ready),
        "propagation": make_propagation(ready),
        "propagation, forward": forward,
        "and choosing": choosing,
        "loss and its gradient": gradient,
        "input": lambda: draw(batch.users),
    }
    return measuring.report(
        "step",
        f"{chosen.encoder} with {chosen.sampler}, batches of {ready.config.batch_size:,}",
        shape,
        alternating.time_all(functions, rounds),
        "propagation",
        {"steps per epoch": ready.pipeline.steps_per_epoch},
    )


if __name__ == "__main__":
    measuring.run(measure, measuring.Model)
