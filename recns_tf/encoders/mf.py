"""Matrix factorization: one embedding per node, and no propagation.

Sources: Y. Koren, R. Bell and C. Volinsky, "Matrix Factorization Techniques for Recommender
Systems", Computer 42(8), 2009. With --sampler=unins --num_negatives=1 --loss=bpr it is the
BPR-MF of S. Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009,
without item biases. It shows what propagation adds, as the rest is the same for all encoders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recns_tf.encoders.columns import Columns, columns_of
from recns_tf.encoders.full_graph import FullGraphEncoder
from recns_tf.encoders.new_nodes import NewNodes, constant, embed_rows, sums
from recns_tf.encoders.saving import serializable
from recns_tf.interactions import Interactions

if TYPE_CHECKING:
    from recns_tf.config.config import Config

OTHER_WEIGHT = 0.1
"""w, the weight of all items in a new user's embedding, where a chosen item has weight 1."""

RIDGE = 1.0
"""λ of a new user's embedding, relative to the mean eigenvalue of VᵀV."""


@serializable
class MF(FullGraphEncoder):
    """Matrix factorization. Its only weight, `nodes` [U + I, d], is also the final embedding.

    Args:
        num_users, num_items: U and I.
        dim: d.
        initializer: of the embeddings, one of INITIALIZERS.
        seed: of the initial embeddings.
        columns: the columns of `nodes` to keep, those of one worker; None for all.
    """

    without_layers: ClassVar[str] = ""
    splits_columns: ClassVar[bool] = True

    def __init__(
        self,
        num_users: int,
        num_items: int,
        *,
        dim: int = 64,
        initializer: str = "glorot",
        seed: int = 0,
        columns: Columns | None = None,
    ):
        super().__init__(
            "mf",
            num_users,
            num_items,
            dim=dim,
            initializer=initializer,
            seed=seed,
            columns=columns,
        )
        self.width = dim

    @classmethod
    def from_settings(cls, config: Config, interactions: Interactions) -> Self:
        return cls(
            interactions.num_users,
            interactions.num_items,
            dim=config.dim,
            initializer=config.initializer,
            seed=config.seed,
            columns=columns_of(config),
        )

    def new_nodes(self, like: slice, neighbors: slice) -> MFNewNodes:
        del like
        return MFNewNodes(tf.convert_to_tensor(self.nodes)[neighbors])

    def first_rows(
        self, like: NDArray[np.float32], neighbors: NDArray[np.float32], clicks: csr_array
    ) -> NDArray[np.float32]:
        """Return the embeddings of new nodes, since they are the rows."""
        del like
        return embed_rows(MFNewNodes(tf.constant(neighbors)), clicks)

    def propagate(self, seed: tf.Tensor | None) -> tf.Tensor:
        return tf.convert_to_tensor(self.nodes)

    def all_layers(self, seed: tf.Tensor | None) -> list[tf.Tensor]:
        return [tf.convert_to_tensor(self.nodes)]


class MFNewNodes(NewNodes):
    """Users whose scores fit their history best, while the items stay as they are.

    With H the history and V the embeddings v_i of the items, the user's embedding minimizes

        Σ_{i in H} (1 - e·v_i)² + w Σ_i (e·v_i)² + λ |e|²,

    so that e = (Σ_{i in H} v_i v_iᵀ + w VᵀV + λ I)^-1 Σ_{i in H} v_i: a user's step in Y. Hu,
    Y. Koren and C. Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008,
    eq. (4). λ is RIDGE times the mean eigenvalue of VᵀV, so that it fits embeddings of any length
    and the matrix is well-conditioned. The embedding of an empty history is 0.

    Args:
        items: V, float32 [I, d].
    """

    def __init__(self, items: tf.Tensor):
        super().__init__(len(items))
        self.items = constant(items)
        dim = items.shape[1]
        everything = tf.matmul(items, items, transpose_a=True)
        penalty = RIDGE * tf.linalg.trace(everything) / dim
        self.common = constant(OTHER_WEIGHT * everything + penalty * tf.eye(dim))

    def embed(self, histories: tf.RaggedTensor) -> tf.Tensor:
        def matrix(history: tf.Tensor) -> tf.Tensor:
            rows = tf.gather(self.items, history)
            return self.common + tf.matmul(rows, rows, transpose_a=True)

        dim = self.items.shape[1]
        left = tf.map_fn(matrix, histories, fn_output_signature=tf.TensorSpec([dim, dim]))
        right = sums(self.items, histories)[..., None]
        return tf.linalg.cholesky_solve(tf.linalg.cholesky(left), right)[..., 0]
