"""Tables that keep the layers from which an encoder makes its final embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from recns_tf.encoders.tables import FullTables, StaleTables, Tables


def pooled(layers: Sequence[tf.Tensor], weights: Sequence[tf.Tensor | float] | None) -> tf.Tensor:
    """Return the final embeddings of layers e^0 … e^L, float32 [n, d] each.

    Args:
        layers: e^0 … e^L.
        weights: α_0 … α_L, or None.

    Returns:
        Σ_l α_l e^l, float32 [n, d]; without weights the concatenation, float32 [n, (L + 1) d].
    """
    if weights is None:
        return tf.concat(layers, axis=1)
    final = weights[0] * layers[0]
    for weight, layer in zip(weights[1:], layers[1:], strict=True):
        final += weight * layer
    return final


class LayeredTables(FullTables):
    """Tables of an encoder whose final embeddings are a weighted sum or concatenation of layers.

    Args:
        layers: e^0 … e^L of users and items, d columns each.
        weights: α_0 … α_L of the sum, scalars; None if the layers are concatenated.
        without_dropout: returns the tables without dropout; None if these have none.

    Attributes:
        user, item: the final embeddings.
    """

    def __init__(
        self,
        layers: Sequence[FullTables],
        weights: Sequence[tf.Tensor | float] | None,
        without_dropout: Callable[[], LayeredTables] | None = None,
    ):
        super().__init__(
            pooled([layer.user for layer in layers], weights),
            pooled([layer.item for layer in layers], weights),
            without_dropout,
        )
        self.layers = list(layers)
        self.weights = weights

    def factors(self, users: tf.Tensor) -> list[tf.Tensor]:
        """Return the vectors q^0 … q^L of users with which e_u·e_v = Σ_l q^l·e_v^l for all items.

        They are α_l e_u for a weighted sum, and e_u^l for a concatenation.

        Args:
            users: int32 [B].

        Returns:
            L + 1 tensors, float32 [B, d].
        """
        if self.weights is None:
            return [layer.users(users) for layer in self.layers]
        final = self.users(users)
        return [weight * final for weight in self.weights]

    def unit(self) -> LayeredTables:
        """Return all layers of a node divided by the length of its final embedding."""
        user, item = (
            tf.math.rsqrt(tf.maximum(tf.reduce_sum(final**2, axis=1, keepdims=True), 1e-12))
            for final in (self.user, self.item)
        )
        scaled = [FullTables(user * layer.user, item * layer.item) for layer in self.layers]
        return LayeredTables(scaled, self.weights)

    def frozen(self) -> LayeredTables:
        tables = self.without_dropout() if self.without_dropout else self
        assert isinstance(tables, LayeredTables)
        weights = tables.weights
        if weights is not None:
            weights = [tf.stop_gradient(weight) for weight in weights]
        return LayeredTables([layer.frozen() for layer in tables.layers], weights)


def layered(tables: Tables) -> LayeredTables:
    """Return the live tables of a step as those with layers that they are.

    Raises:
        TypeError: they have none; `Sampler.encode` returns tables that have what a sampler uses.
    """
    while isinstance(tables, StaleTables):
        tables = tables.current
    if not isinstance(tables, LayeredTables):
        raise TypeError(f"{type(tables).__name__} has no layers: encode with Sampler.encode")
    return tables
