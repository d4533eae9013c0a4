"""Matrix factorization: one embedding per node, and no propagation.

Sources: Y. Koren, R. Bell and C. Volinsky, "Matrix Factorization Techniques for Recommender
Systems", Computer 42(8), 2009. With --sampler=unins --num_negatives=1 --loss=bpr it is the
BPR-MF of S. Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009,
without item biases. It shows what propagation adds, as the rest is the same for all encoders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import tensorflow as tf

from recns_tf.encoders.full_graph import FullGraphEncoder
from recns_tf.encoders.saving import serializable
from recns_tf.interactions import Interactions

if TYPE_CHECKING:
    from recns_tf.config.config import Config


@serializable
class MF(FullGraphEncoder):
    """Matrix factorization. Its only weight, `nodes` [U + I, d], is also the final embedding.

    Args:
        num_users, num_items: U and I.
        dim: d.
        initializer: of the embeddings, one of INITIALIZERS.
        seed: of the initial embeddings.
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        dim: int = 64,
        initializer: str = "glorot",
        seed: int = 0,
    ):
        super().__init__("mf", num_users, num_items, dim=dim, initializer=initializer, seed=seed)
        self.width = dim

    @classmethod
    def from_settings(cls, config: Config, interactions: Interactions) -> Self:
        return cls(
            interactions.num_users,
            interactions.num_items,
            dim=config.dim,
            initializer=config.initializer,
            seed=config.seed,
        )

    def propagate(self, seed: tf.Tensor | None) -> tf.Tensor:
        return tf.convert_to_tensor(self.nodes)
