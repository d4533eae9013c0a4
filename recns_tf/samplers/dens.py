"""DENS: gates split items into relevant and irrelevant factors, by which negatives are chosen.

Source: R. Lai et al., "Disentangled Negative Sampling for Collaborative Filtering", WSDM 2023, in
the form of its code (Riwei-HEU/DENS, modules/LightGCN.py). All gates are of the width of a layer
and shared by the layers. With u, p and n the rows of a user, the positive and an item in a layer, ⊙
the product by columns and σ the sigmoid, the relevant factors of the positive and of the item are

    r_p = p ⊙ σ(W_i p + b_i + W_u u + b_u),    r_n = n ⊙ σ(W_n n + b_n + W_p r_p + b_p),

and the irrelevant ones are p - r_p and n - r_n. Each of the k negatives has its own N candidates,
drawn uniformly with replacement. In each layer l, with t = min(1, epoch / warmup) and epochs from
0, it picks

    j_l = argmax_j u^l·((1 - t) n_j^l - r_{n_j}^l):

at first the item with the largest irrelevant part, in the end that with the smallest relevant part.
The negative is the encoder's pooling of the rows n_{j_l}^l themselves, not of their factors.

The gates learn from an auxiliary loss, as does the encoder. Let x^r and x^i be the scores of the
relevant and irrelevant factors of x, pooled like the rows: x^r = Σ_l q^l·r_x^l with q^l as in
MixGCF, and x^i = e_u·e_x - x^r. Then the loss of a pair is γ / 4 times the sum of

    log(1 + exp(p^i - p^r)),              the positive: relevant above irrelevant,
    log(1 + Σ_n exp(n^r - n^i)),          the negatives: irrelevant above relevant,
    log(1 + Σ_n exp(n^r - p^r)),          relevant factors: the positive's above the negatives',
    log(1 + Σ_n exp(p^i - n^i)),          irrelevant factors: the negatives' above the positive's,

with Σ_n over the pair's k negatives. The optimizer of the encoder trains the gates with it, as in
the code; no L2 penalty covers them. They start uniform on ±1 / sqrt(d), as linear layers do in the
code's PyTorch.

Formulas, γ = 0.3 and warmup = 100 are those of the code; whether the paper prints the same weights
of the four terms has not been verified. The code's choice uses u^l, the user's row of the layer,
also where it sums the layers, and so does this one. Its `bpr` for k > 1 is `kpair`, which --loss
selects. The code has no NGCF; here its layers are concatenated, as in MixGCF. The choice ignores
dropout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import keras
import tensorflow as tf

from recns_tf.encoders.base import Encoder
from recns_tf.encoders.layers import LayeredTables, layered
from recns_tf.encoders.saving import serializable
from recns_tf.encoders.tables import FullTables, Tables
from recns_tf.errors import UserError
from recns_tf.ops import random
from recns_tf.ops.gates import gated_products
from recns_tf.ops.item_sets import ItemSets
from recns_tf.ops.random import Purpose
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.batch import Batch
from recns_tf.samplers.layer_candidates import LayerCandidates

if TYPE_CHECKING:
    from recns_tf.config.config import Config

GATES = ("user", "item", "positive", "negative")


class Gates(keras.layers.Layer):
    """The gates' maps x ↦ W x + b, named u, i, p and n in the formulas.

    Args:
        width: d, number of columns of a layer.
        seed: of the initial weights.
    """

    def __init__(self, width: int, seed: int):
        super().__init__()
        branch = random.stream(random.root(seed), Purpose.STATE)
        self.kernels: dict[str, keras.Variable] = {}
        self.biases: dict[str, keras.Variable] = {}
        for number, name in enumerate(GATES):
            for part, (kept, shape) in enumerate(
                [(self.kernels, (width, width)), (self.biases, (width,))]
            ):
                weight = self.add_weight(name=f"{name}_{part}", shape=shape)
                own = random.stream(branch, number, part)
                limit = width**-0.5
                weight.assign(tf.random.stateless_uniform(shape, own, -limit, limit))
                kept[name] = weight
        self.built = True

    def map(self, name: str, rows: tf.Tensor) -> tf.Tensor:
        """Return W x + b of the gate called `name` for rows x: float32 [..., d] -> [..., d]."""
        kernel, bias = (tf.convert_to_tensor(each[name]) for each in (self.kernels, self.biases))
        return tf.matmul(rows, kernel) + bias

    def relevant_positive(self, users: tf.Tensor, positives: tf.Tensor) -> tf.Tensor:
        """Return r_p from rows u and p: float32 [B, d] each -> [B, d]."""
        return positives * tf.sigmoid(self.map("item", positives) + self.map("user", users))

    def of_layer(self, layer: FullTables, batch: Batch) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return r_p of each pair, W_p r_p + b_p, and W_n n + b_n of every item of a layer.

        Returns:
            float32 [B, d], [B, d] and [I, d].
        """
        relevant = self.relevant_positive(layer.users(batch.users), layer.items(batch.positives))
        # Mapping the whole table takes less time than mapping every row that was chosen.
        return relevant, self.map("positive", relevant), self.map("negative", layer.item)


@serializable
class DENS(LayerCandidates):
    """Disentangled negative sampling.

    Its state: the gates, and `epoch`.

    Args:
        num_negatives: k.
        pool: the items that each user's candidates come from.
        num_candidates: N, candidates per negative.
        width: number of columns of each layer of the encoder.
        weight: γ, weight of the auxiliary loss.
        warmup: epochs until t is 1; 0 for t = 1 from the start.
        seed: of the gates' initial weights.
    """

    has_auxiliary_loss: ClassVar[bool] = True

    def __init__(
        self,
        num_negatives: int,
        pool: ItemSets,
        num_candidates: int,
        width: int,
        *,
        weight: float = 0.3,
        warmup: int = 100,
        seed: int = 0,
    ):
        super().__init__(num_negatives, pool, num_candidates)
        self.width = width
        self.weight = weight
        self.warmup = warmup
        self.seed = seed
        self.gates = Gates(width, seed)
        self.epoch = self.add_integers("epoch", ())
        self.epoch.assign(0)

    @classmethod
    def check_settings(cls, config: Config) -> None:
        """Raise UserError if the loss sees cosines, as negatives are chosen by inner products."""
        if config.scores != "inner":
            raise UserError(
                f"--scores={config.scores}: --sampler=dens needs --scores=inner, since its gates "
                "choose among rows of the lengths that they are trained with."
            )

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        return cls(
            config.num_negatives,
            context.pool,
            config.num_candidates,
            context.layer_width,
            weight=config.dens_weight,
            warmup=config.dens_warmup,
            seed=config.seed,
        )

    @property
    def jointly_trained(self) -> list[keras.Variable]:
        """The weights of the gates."""
        return list(self.gates.trainable_variables)

    def begin_epoch(self, epoch: int, encoder: Encoder) -> None:
        del encoder
        self.epoch.assign(epoch)

    def progress(self) -> tf.Tensor:
        """Return t, a float32 scalar."""
        if not self.warmup:
            return tf.constant(1.0)
        return tf.minimum(1.0, tf.cast(tf.convert_to_tensor(self.epoch), tf.float32) / self.warmup)

    def utilities(self, batch: Batch, items: tf.Tensor, tables: LayeredTables) -> list[tf.Tensor]:
        kept = 1 - self.progress()
        found = []
        for layer in tables.layers:
            users = layer.users(batch.users)
            _, shifts, mapped = self.gates.of_layer(layer, batch)
            found.append(gated_products(users, layer.item, shifts, mapped, kept, items))
        return found

    def combine(self, positive: tf.Tensor, chosen: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        del positive, seed
        return tf.reduce_sum(chosen, axis=2)

    def auxiliary_losses(self, batch: Batch, ids: tf.Tensor, tables: Tables) -> tf.Tensor:
        """Return γ / 4 times the sum of the four terms: float32 [B]."""
        live = layered(tables)
        positive, chosen = (
            tf.reduce_sum(each, axis=2) for each in self.layer_scores(batch, ids, live)
        )
        positive_parts, chosen_parts = [], []
        for layer, factor, items in zip(
            live.layers,
            live.factors(batch.users),
            tf.split(ids, len(live.layers), axis=1),
            strict=True,
        ):
            relevant, shifts, mapped = self.gates.of_layer(layer, batch)
            scores = gated_products(factor, layer.item, shifts, mapped, tf.constant(0.0), items)
            positive_parts.append(tf.reduce_sum(factor * relevant, axis=1, keepdims=True))
            chosen_parts.append(-scores)
        positive_r, chosen_r = tf.add_n(positive_parts), tf.add_n(chosen_parts)
        positive_i, chosen_i = positive - positive_r, chosen - chosen_r
        gaps = (
            positive_i - positive_r,
            chosen_r - chosen_i,
            chosen_r - positive_r,
            positive_i - chosen_i,
        )
        terms = [tf.nn.softplus(tf.reduce_logsumexp(gap, axis=1)) for gap in gaps]
        return self.weight / 4 * tf.add_n(terms)
