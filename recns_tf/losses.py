"""Losses on the scores of a positive and its k negatives (§2.4).

The arguments of every loss are `positive`, float32 [B], the scores s_v = e_u·e_v; `negative`,
float32 [B, k], the scores s_n = e_u·e_n; and `margin`, γ. With --scores=cosine, the scores are
cosines. It returns a float32 scalar. σ is the sigmoid and [z]_+ = max(0, z).

A loss may have keyword-only arguments named in OPTIONS, with defaults: training passes the values
of these flags. The same holds for a loss of your own.

Samplers that leave out some of the negatives, such as `inbatch`, also pass the keyword-only
argument `kept`, bool [B, k]. What is not kept counts nowhere: not in a sum, a mean or k. A pair
without any negative has the loss 0.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, Self

import keras
import tensorflow as tf

from recns_tf.errors import first_line

Loss = Callable[..., tf.Tensor]

OPTIONS = ("temperature", "temperature_2", "ccl_weight")
"""The flags that a loss may have as keyword-only arguments."""

KEPT = "kept"
"""The keyword-only argument of losses that can leave out negatives."""

NOTHING = -1e30
"""The logarithm of the weight of what is left out. Sums of -inf alone have no gradient."""


def mean(values: tf.Tensor, kept: tf.Tensor | None) -> tf.Tensor:
    """Return the mean of [B, k] over pairs and negatives; of those kept, the mean of pairs' means.

    Args:
        values: float32 [B, k].
        kept: bool [B, k], or None for all.
    """
    if kept is None:
        return tf.reduce_mean(values)
    return tf.reduce_mean(mean_of_pairs(values, kept))


def mean_of_pairs(values: tf.Tensor, kept: tf.Tensor | None) -> tf.Tensor:
    """Return each pair's mean of the negatives kept, 0 without any: [B, k] -> float32 [B]."""
    if kept is None:
        return tf.reduce_mean(values, axis=1)
    total = tf.reduce_sum(tf.where(kept, values, 0.0), axis=1)
    return tf.math.divide_no_nan(total, number_of(kept))


def log_sum_exp(values: tf.Tensor, kept: tf.Tensor | None) -> tf.Tensor:
    """Return log Σ exp of each pair's negatives, NOTHING without any: [B, k] -> float32 [B]."""
    if kept is not None:
        values = tf.where(kept, values, NOTHING)
    return tf.reduce_logsumexp(values, axis=1)


def number_of(kept: tf.Tensor) -> tf.Tensor:
    """Return each pair's number of negatives: bool [B, k] -> float32 [B]."""
    return tf.reduce_sum(tf.cast(kept, tf.float32), axis=1)


def of_pairs_with_negatives(values: tf.Tensor, kept: tf.Tensor | None) -> tf.Tensor:
    """Return the losses of the pairs, float32 [B], with 0 for a pair without any negative."""
    return values if kept is None else tf.where(tf.reduce_any(kept, axis=1), values, 0.0)


@keras.saving.register_keras_serializable(package="recns_tf")
def augmented_hinge(
    positive: tf.Tensor, negative: tf.Tensor, margin: float, *, kept: tf.Tensor | None = None
) -> tf.Tensor:
    """Return eq. (5): 1/k of the sum over pairs of [σ(Σ_i e_u·e_n_i) - σ(k e_u·e_v) + γ]_+."""
    if kept is not None:
        number = number_of(kept)
        others = tf.sigmoid(tf.reduce_sum(tf.where(kept, negative, 0.0), axis=1))
        hinge = tf.nn.relu(others - tf.sigmoid(number * positive) + margin)
        return tf.reduce_sum(tf.math.divide_no_nan(hinge, number))
    k = tf.cast(tf.shape(negative)[1], tf.float32)
    gap = tf.sigmoid(tf.reduce_sum(negative, axis=1)) - tf.sigmoid(k * positive)
    return tf.reduce_sum(tf.nn.relu(gap + margin)) / k


@keras.saving.register_keras_serializable(package="recns_tf")
def pairwise_hinge(
    positive: tf.Tensor, negative: tf.Tensor, margin: float, *, kept: tf.Tensor | None = None
) -> tf.Tensor:
    """Return the mean over pairs and negatives of [σ(e_u·e_n_i) - σ(e_u·e_v) + γ]_+.

    Source: the authors' code (zyang-16/RecNS), which uses it instead of eq. (5).
    """
    gap = tf.sigmoid(negative) - tf.sigmoid(positive)[:, None]
    return mean(tf.nn.relu(gap + margin), kept)


@keras.saving.register_keras_serializable(package="recns_tf")
def plain_hinge(
    positive: tf.Tensor, negative: tf.Tensor, margin: float, *, kept: tf.Tensor | None = None
) -> tf.Tensor:
    """Return the mean over pairs and negatives of [e_u·e_n_i - e_u·e_v + γ]_+ (Algorithm 3)."""
    return mean(tf.nn.relu(negative - positive[:, None] + margin), kept)


@keras.saving.register_keras_serializable(package="recns_tf")
def bpr(
    positive: tf.Tensor, negative: tf.Tensor, margin: float, *, kept: tf.Tensor | None = None
) -> tf.Tensor:
    """Return the mean over pairs and negatives of -log σ(e_u·e_v - e_u·e_n_i), without margin.

    Source: S. Rendle et al., "BPR", UAI 2009.
    """
    del margin
    return mean(tf.nn.softplus(negative - positive[:, None]), kept)


@keras.saving.register_keras_serializable(package="recns_tf")
def softmax(
    positive: tf.Tensor,
    negative: tf.Tensor,
    margin: float,
    *,
    temperature: float = 1.0,
    kept: tf.Tensor | None = None,
) -> tf.Tensor:
    """Return the mean over pairs of -log(exp(s_v/τ) / (exp(s_v/τ) + Σ_i exp(s_n_i/τ))).

    This is the cross-entropy of the positive among itself and the k negatives, without margin and
    without a correction for the distribution of the negatives. Source: J. Wu et al., "On the
    Effectiveness of Sampled Softmax Loss for Item Recommendation", TOIS 2024. Some code leaves the
    positive out of the denominator; `bsl` with its default weight is that loss.
    """
    del margin
    gap = (negative - positive[:, None]) / temperature
    return tf.reduce_mean(tf.nn.softplus(log_sum_exp(gap, kept)))


@keras.saving.register_keras_serializable(package="recns_tf")
def kpair(
    positive: tf.Tensor, negative: tf.Tensor, margin: float, *, kept: tf.Tensor | None = None
) -> tf.Tensor:
    """Return the mean over pairs of log(1 + Σ_i exp(s_n_i - s_v)), without margin.

    It equals `softmax` with τ = 1, and `bpr` if k = 1. Sources: K. Sohn, "Improved Deep Metric
    Learning with Multi-class N-pair Loss Objective", NeurIPS 2016; T. Huang et al., "MixGCF",
    KDD 2021.
    """
    return softmax(positive, negative, margin, temperature=1.0, kept=kept)


@keras.saving.register_keras_serializable(package="recns_tf")
def bsl(
    positive: tf.Tensor,
    negative: tf.Tensor,
    margin: float,
    *,
    temperature: float = 1.0,
    temperature_2: float = 1.0,
    kept: tf.Tensor | None = None,
) -> tf.Tensor:
    """Return the mean over pairs of -s_v/τ + τ_2 log Σ_i exp(s_n_i/τ), without margin.

    The positive is not in the sum. Source: J. Wu et al., "BSL: Understanding and Improving Softmax
    Loss for Recommendation", ICDE 2024, in the form "reweight" of the authors' code
    (junkangwu/BSL), where τ_2 is a factor. In the paper's form, τ_1 only scales the loss of a
    single positive.
    """
    del margin
    others = log_sum_exp(negative / temperature, kept)
    of_pairs = temperature_2 * others - positive / temperature
    return tf.reduce_mean(of_pairs_with_negatives(of_pairs, kept))


@keras.saving.register_keras_serializable(package="recns_tf")
def ccl(
    positive: tf.Tensor,
    negative: tf.Tensor,
    margin: float,
    *,
    ccl_weight: float = 0.0,
    kept: tf.Tensor | None = None,
) -> tf.Tensor:
    """Return the mean over pairs of [1 - s_v]_+ + w/k Σ_i [s_n_i - γ]_+.

    It is meant for cosines (--scores=cosine), for which [1 - s_v]_+ = 1 - s_v. The weight w is
    `ccl_weight`, or k if that is 0. Source: K. Mao et al., "SimpleX: A Simple and Strong Baseline
    for Collaborative Filtering", CIKM 2021, with the bound at 0 of the authors' code (reczoo).
    """
    weight = ccl_weight or (negative.shape[1] if kept is None else number_of(kept))
    others = mean_of_pairs(tf.nn.relu(negative - margin), kept)
    of_pairs = tf.nn.relu(1 - positive) + weight * others
    return tf.reduce_mean(of_pairs_with_negatives(of_pairs, kept))


@keras.saving.register_keras_serializable(package="recns_tf")
class WithOptions:
    """A loss with the values of its options; Keras can save it.

    Args:
        loss: the loss.
        options: its keyword-only arguments by name.
    """

    def __init__(self, loss: Loss, options: dict[str, float]):
        self.loss = loss
        self.options = options

    def __call__(
        self, positive: tf.Tensor, negative: tf.Tensor, margin: float, **kept: tf.Tensor
    ) -> tf.Tensor:
        """Return the loss; `kept` is passed on, if given."""
        return self.loss(positive, negative, margin, **self.options, **kept)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor as JSON values."""
        return {"loss": keras.saving.serialize_keras_object(self.loss), "options": self.options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the loss from what `get_config` returned."""
        return cls(keras.saving.deserialize_keras_object(config["loss"]), config["options"])


def with_options(loss: Loss, settings: Any) -> Loss:
    """Return a loss of three arguments: with those of its options that the settings have.

    Args:
        loss: a loss of this module, or one of your own.
        settings: an object with an attribute for each name in OPTIONS, such as a Config.
    """
    names = keywords_of(loss, OPTIONS)
    return WithOptions(loss, {name: getattr(settings, name) for name in names}) if names else loss


def keywords_of(loss: Loss, names: tuple[str, ...]) -> list[str]:
    """Return which of the names are keyword-only arguments of a loss."""
    try:
        parameters = inspect.signature(loss).parameters
    except ValueError:  # of a function written in C
        return []
    return [
        name
        for name in names
        if name in parameters and parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
    ]


def fault(loss: Any) -> str:
    """Return why an object cannot be used as a loss, or "" if it can.

    It is called once as in training: inside a tf.function, on scores of 2 pairs with 3 negatives.
    """
    faults: list[str] = []

    @tf.function(autograph=False)
    def call(positive: tf.Tensor, negative: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch([positive, negative])
            value = loss(positive, negative, 0.1)
        if not tf.is_tensor(value):
            faults.append(f"it returns {type(value).__name__}, not a float32 scalar tensor")
        elif value.dtype != tf.float32 or value.shape != ():
            kind = f"{value.dtype.name} {value.shape}"
            faults.append(f"it returns {kind}, not a float32 scalar tensor")
        elif tape.gradient(value, [positive, negative]) == [None, None]:
            faults.append("its value does not depend on the scores")
        return tf.constant(0.0) if faults else value

    positive, negative = [0.5, -0.25], [[0.25, 0.0, -0.5], [0.75, -1.0, 0.125]]
    try:
        value = float(call(tf.constant(positive), tf.constant(negative)))
    except Exception as error:
        return f"called with (positive, negative, margin), it raises {first_line(error)}"
    if not faults and not math.isfinite(value):
        faults.append(f"it returns {value} for scores between -1 and 1")
    return faults[0] if faults else ""
