"""Trains on two logical CPUs and prints what it found as JSON; test_two_devices.py runs it.

Logical devices must be set before TensorFlow starts, hence the separate process.
"""

import contextlib
import dataclasses
import json
import sys
import tempfile

import keras
import numpy as np
import tensorflow as tf

from recns_tf.config.config import Config, Workspace
from recns_tf.ops import kernels, random, replicas
from recns_tf.samplers.batch import Batch
from recns_tf.training import negative_statistics
from recns_tf.training.build import build
from recns_tf.training.strategies import make_strategy
from recns_tf.training.train import train_and_evaluate
from tests.conftest import TOY, make_toy

TIMES = ("sampling_seconds",)
STATEFUL = ("advns", "dens", "mcns", "rns-as", "srns")


def config_of(**settings):
    """Return settings of short runs.

    With its small default ε, Adam divides rounding errors by small gradients, and does not notice a
    gradient that counts twice.
    """
    return dataclasses.replace(Config(**TOY), adam_epsilon=1e-4, **settings)


def fit(config, data, epochs=2, scope=None):
    """Return a model after some epochs, and what each of them reported."""
    if scope is None:
        model, pipeline, sets = build(config, data)
    else:
        with scope:
            model, pipeline, sets = build(config, data)
    reported = []
    # Each device draws anew which negative the statistics of inbatch see.
    drawn = negative_statistics.STATISTICS if config.sampler == "inbatch" else ()
    omitted = (*TIMES, *drawn)
    for epoch in range(epochs):
        sets.prepare(epoch)
        model.sampler.begin_epoch(epoch, model.encoder)
        model.refresh()
        history = model.fit(
            pipeline.batches(first_epoch=epoch),
            steps_per_epoch=pipeline.steps_per_epoch,
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,
            verbose=0,
        )
        reported.append({k: v[0] for k, v in history.history.items() if k not in omitted})
    return model, reported


def difference(one, other, random=()):
    """Return the largest difference between weights, and between the values reported."""
    weights = zip(one[0].get_weights(), other[0].get_weights(), strict=True)
    reports = [
        abs(a[name] - b[name])
        for a, b in zip(one[1], other[1], strict=True)
        for name in a.keys() - set(random)
    ]
    return max(max(float(np.abs(a - b).max()) for a, b in weights), *reports)


def equal_to_one_device(data):
    """Return the difference between two devices and one, for samplers that draw nothing.

    The batch size leaves one pair for the last step, less than one per device.
    """
    pairs = data.train.nnz
    size = next(size for size in range(40, pairs) if pairs % size == 1)
    inbatch = {"sampler": "inbatch"}
    cases = [
        {"encoder": "lightgcn", "loss": "bpr", "batch_size": size},
        {"encoder": "lightgcn", "l2_scope": "all", "stale_scores": True, "sparse_engine": "coo"},
        {"encoder": "ngcf", "l2": 0.1, "kernels": "tensorflow"},
        {"encoder": "pinsage", "table_steps": 2},
        {"encoder": "mf", "loss": "augmented_hinge", "batch_size": size, "l2": 0.1},
        {**inbatch, "encoder": "lightgcn", "loss": "bsl", "l2_scope": "final", "l2": 0.1},
        {**inbatch, "encoder": "mf", "loss": "bpr", "batch_size": size, "inbatch_hits": "keep"},
        {**inbatch, "encoder": "pinsage", "loss": "softmax", "inbatch_logq": True},
    ]
    # So many candidates are all items: dens chooses the same ones, but reports their mean score.
    layered = {"sampler": "dens", "num_negatives": 1, "num_candidates": 2_000, "dens_weight": 2.0}
    cases += [{"encoder": encoder, "batch_size": size, **layered} for encoder in ("mf", "lightgcn")]
    found = {}
    for case in cases:
        config = config_of(**{"sampler": "recns-w", **case})
        two = fit(dataclasses.replace(config, strategy="mirrored"), data)
        unequal = ("hardness",) if "sampler" in case else ()
        found[json.dumps(case)] = difference(fit(config, data), two, unequal)
    return found


def in_the_scope_of_a_user(data):
    """Return the difference between --strategy=mirrored and a scope entered by the caller."""
    config = config_of(sampler="recns-w", encoder="mf")
    inside = fit(config, data, scope=make_strategy("mirrored").scope())
    return difference(fit(dataclasses.replace(config, strategy="mirrored"), data), inside)


def copies_of_state(data):
    """Return, per sampler, whether the copies of each weight of model and sampler are equal."""
    strategy, found = make_strategy("mirrored"), {}
    for sampler in STATEFUL:
        settings = {
            "encoder": "mf",
            "batch_size": 200,
            "strategy": "mirrored",
            "generator_warmup": 0,
        }
        model, _ = fit(config_of(sampler=sampler, **settings), data, epochs=1)
        weights = [*model.encoder.weights, *model.sampler.weights, *model.optimizer.variables]
        copies = [strategy.experimental_local_results(weight.value) for weight in weights]
        found[sampler] = all(
            len(pair) == 2 and np.array_equal(pair[0].numpy(), pair[1].numpy()) for pair in copies
        )
    return found


def state_after_a_step(data):
    """Return whether the state is that of the whole batch: chains of mcns, baseline of advns."""
    config = config_of(sampler="mcns", encoder="mf", strategy="mirrored")
    model, pipeline, _ = build(config, data)
    batch = next(iter(pipeline.batches()))

    def step(batch):
        _, negatives = model.forward(batch)
        model.sampler.update_state(batch, negatives.feedback)
        return negatives.ids

    with model.strategy.scope():
        ids = tf.function(lambda: model.strategy.run(step, args=(batch,)), autograph=False)()
    chosen = model.strategy.experimental_local_results(ids)[0].numpy()[:, -1]
    chain = model.sampler.chain.numpy()
    users, first = np.unique(batch.users.numpy(), return_index=True)
    chains = bool((chain[users] == chosen[first]).all() and (chain == -1).sum() > 0)

    config = config_of(sampler="advns", encoder="mf", strategy="mirrored", generator_warmup=0)
    model, pipeline, _ = build(config, data)
    means = tf.function(model.train_step, autograph=False)(next(iter(pipeline.batches())))
    baseline = float(model.sampler.baseline.numpy()) / float(means["generator_reward"])
    return {"chains": chains, "baseline": baseline}


def draws_of_a_pair(data):
    """Return the negatives that unins draws for a batch of one pair, repeated."""
    config = config_of(sampler="unins", encoder="mf", strategy="mirrored")
    model, pipeline, _ = build(config, data)
    user, positive = pipeline.users[0], pipeline.items[0]
    same = tf.fill([4000], user), tf.fill([4000], positive)
    empty = tf.zeros([4000, 0], tf.int32)
    batch = Batch(*same, empty, empty, random.root(3))
    with kernels.using("numba"), model.strategy.scope():
        step = tf.function(
            lambda: model.strategy.run(lambda: model.forward(batch)[1].ids), autograph=False
        )
        ids = model.strategy.experimental_local_results(step())[0].numpy()
    return {"user": int(user), "ids": ids.tolist()}


class Stop(keras.callbacks.Callback):
    """Interrupts a run after its first epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def resumed(data):
    """Return the metrics of a whole run, those of an interrupted one, and its settings."""
    config = config_of(sampler="srns", encoder="mf", strategy="mirrored", epochs=3)
    with tempfile.TemporaryDirectory() as folder:
        place = {name: Workspace(runs_dir=folder, run_name=name) for name in ("whole", "parts")}
        whole = train_and_evaluate(config, place["whole"], data, quiet=True)
        with contextlib.suppress(KeyboardInterrupt):
            train_and_evaluate(config, place["parts"], data, quiet=True, callbacks=[Stop()])
        parts = train_and_evaluate(config, place["parts"], data, quiet=True)
        with open(f"{folder}/parts/config.json", encoding="utf-8") as file:
            settings = json.load(file)
    return {
        "whole": whole["test"],
        "parts": parts["test"],
        "replicas": settings["replicas"],
        "devices": parts["devices"],
    }


def gradients_of_gathered_rows():
    """Return the gradients of Σ rows² that two devices compute, for batches of 1 to 4 rows."""
    found = []
    strategy = make_strategy("mirrored")
    for size in range(1, 5):
        table = tf.range(1.0, size + 1)

        def step(table=table, size=size):
            shares = replicas.Shares(tf.constant(size))
            with tf.GradientTape() as tape:
                tape.watch(table)
                every = shares.gather(shares.own(table))
                loss = tf.reduce_sum(every**2)
            return every, tape.gradient(loss, table)

        every, gradient = tf.function(lambda step=step: strategy.run(step), autograph=False)()
        local = strategy.experimental_local_results
        found.append(
            {
                "rows": [each.numpy().tolist() for each in local(every)],
                "gradient": sum(each.numpy() for each in local(gradient)).tolist(),
            }
        )
    return found


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)
    data = make_toy()
    found = {
        "equal_to_one_device": equal_to_one_device(data),
        "in_the_scope_of_a_user": in_the_scope_of_a_user(data),
        "copies_of_state": copies_of_state(data),
        "state_after_a_step": state_after_a_step(data),
        "draws_of_a_pair": draws_of_a_pair(data),
        "resumed": resumed(data),
        "gradients_of_gathered_rows": gradients_of_gathered_rows(),
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
