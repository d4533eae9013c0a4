"""MixGCF: a hard item for each layer of the encoder, mixed with the positive.

Source: T. Huang et al., "MixGCF: An Improved Training Method for Graph Neural Network-based
Recommender Systems", KDD 2021, and its code (huangtinglin/MixGCF). Each of the k negatives has its
own N candidates, drawn uniformly with replacement. With p^l and n_j^l the rows of
the positive and of candidate j in layer l, and q^l the user's factors, so that
e_u·e_v = Σ_l q^l·v^l (q^l = α_l e_u if the encoder sums its layers with weights α_l, q^l = e_u^l if
it concatenates them), each layer picks

    j_l = argmax_j q^l·(a_l p^l + (1 - a_l) n_j^l),    a_l ~ U(0, 1),

where a_l is drawn for every pair, negative and layer, and shared by the candidates. The negative is
the encoder's pooling of the picked mixtures, so its score is

    s_n = Σ_l (a_l q^l·p^l + (1 - a_l) q^l·n_{j_l}^l).

No mixture is ever computed. Proof that none is needed: among the candidates of a layer, a_l q^l·p^l
is a constant and 1 - a_l > 0, so j_l = argmax_j q^l·n_j^l, as if DNS chose in that layer; and s_n
needs the products of rows alone, since pooling and the product with e_u are linear. a_l is below 1,
as the draw is from [0, 1).

The gradient flows into users, picked items and the positive. With matrix factorization, there is
one layer, and only the mixing with the positive is left. The defaults of its code are N = 64, k = 1
and the loss `kpair`, which is `bpr` for k = 1.
"""

from __future__ import annotations

import tensorflow as tf

from recns_tf.encoders.layers import LayeredTables
from recns_tf.encoders.saving import serializable
from recns_tf.ops import random
from recns_tf.ops.random import Purpose
from recns_tf.samplers.batch import Batch
from recns_tf.samplers.layer_candidates import LayerCandidates


@serializable
class MixGCF(LayerCandidates):
    """Positive mixing and hop mixing.

    Args:
        num_negatives: k.
        pool: the items that each user's candidates come from.
        num_candidates: N, candidates per negative.
    """

    def utilities(self, batch: Batch, items: tf.Tensor, tables: LayeredTables) -> list[tf.Tensor]:
        return [
            layer.products(factor, items)
            for layer, factor in zip(tables.layers, tables.factors(batch.users), strict=True)
        ]

    def combine(self, positive: tf.Tensor, chosen: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        share = random.uniform(tf.shape(chosen), random.stream(seed, Purpose.ALPHA))
        return tf.reduce_sum(share * positive + (1 - share) * chosen, axis=2)
