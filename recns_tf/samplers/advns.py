"""AdvNS: a generator is rewarded for negatives that the recommender scores high.

Sources: J. Wang et al., "IRGAN", SIGIR 2017, for the reward 2 (σ(e_u·e_v) - ½); L. Cai and W. Y.
Wang, "KBGAN", NAACL 2018, for the softmax over a set of candidates; §5.1. The recommender is the
discriminator, and is evaluated. The baseline is a running mean of the reward, or the mean of the
pair's other rewards.

With `epsilon` above 0, the loss sees perturbed negatives, as in AdvIR (D. H. Park and Y. Chang,
"Adversarial Sampling and Training for Semi-Supervised Information Retrieval", WWW 2019):
e_n + ε g / ‖g‖, where g is the gradient of the loss with respect to e_n. A loss that rises with the
negative's score e_u·e_n has g ∝ e_u, so that the score becomes e_u·(e_n + ε e_u / ‖e_u‖); the
perturbation is a constant to the gradient. A hinge that is 0, whose g is 0, is perturbed as well.
AdvIR's perturbation of positives is not implemented.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import tensorflow as tf

from recns_tf.encoders.saving import serializable
from recns_tf.encoders.tables import Tables
from recns_tf.errors import UserError
from recns_tf.ops import random
from recns_tf.ops.item_sets import ItemSets
from recns_tf.samplers.base import Negatives, SamplerContext
from recns_tf.samplers.batch import Batch
from recns_tf.samplers.generator import GeneratorOptions, GeneratorSampler

if TYPE_CHECKING:
    from recns_tf.config.config import Config

DECAY = 0.99
"""Of the running mean of the reward."""


@serializable
class AdvNS(GeneratorSampler):
    """Adversarial negative sampling.

    Args:
        num_negatives: k.
        pool: the items that each user's candidates come from.
        num_users, num_items: U and I.
        options: of the generator.
        leave_one_out: whether the baseline of a draw is the mean reward of the pair's other draws
            (for k of 2 or more) instead of the running mean `baseline`.
        epsilon: ε, length of the perturbation of the negatives.
    """

    def __init__(
        self,
        num_negatives: int,
        pool: ItemSets,
        num_users: int,
        num_items: int,
        options: GeneratorOptions,
        *,
        leave_one_out: bool = False,
        epsilon: float = 0.0,
    ):
        super().__init__(num_negatives, num_users, num_items, options)
        self.pool = pool
        self.leave_one_out = leave_one_out and num_negatives > 1
        self.epsilon = epsilon
        self.baseline = self.add_weight(
            name="baseline", shape=(), initializer="zeros", trainable=False
        )

    @classmethod
    def check_settings(cls, config: Config) -> None:
        """Raise UserError if the warm-up takes more negatives than there are candidates."""
        if config.generator_warmup and config.generator_candidates < config.num_negatives:
            raise UserError(
                f"--generator_candidates={config.generator_candidates}: choose at least "
                f"{config.num_negatives}, --num_negatives, or --generator_warmup=0."
            )

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        data = context.interactions
        return cls(
            config.num_negatives,
            context.pool,
            data.num_users,
            data.num_items,
            GeneratorOptions.from_settings(config),
            leave_one_out=config.advns_baseline == "others",
            epsilon=config.adv_epsilon,
        )

    def sample(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Negatives:
        found = super().sample(batch, tables, seed)
        if not self.epsilon:
            return found
        vectors = tables.users(batch.users)
        perturbation = self.epsilon * tf.stop_gradient(tf.math.l2_normalize(vectors, axis=1))
        gain = tf.reduce_sum(vectors * perturbation, axis=1, keepdims=True)
        return found._replace(scores=found.scores + gain)

    def candidates(self, users: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return random.with_replacement(self.pool, users, self.options.num_candidates, seed)

    def rewards(
        self, batch: Batch, tables: Tables, ids: tf.Tensor, drawn: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        """Return the reward 2 (σ(e_u·e_v) - ½)."""
        del drawn, seed
        score = tables.products(tables.users(batch.users), ids)
        return (2 * tf.sigmoid(score) - 1,)

    def advantage(self, rewards: tuple[tf.Tensor, ...]) -> tf.Tensor:
        (reward,) = rewards
        if self.leave_one_out:
            k = self.num_negatives
            return (reward - tf.reduce_mean(reward, axis=1, keepdims=True)) * (k / (k - 1))
        return reward - tf.convert_to_tensor(self.baseline)

    def update_baselines(self, rewards: tuple[tf.Tensor, ...]) -> None:
        mean = tf.convert_to_tensor(self.baseline)
        self.baseline.assign(DECAY * mean + (1 - DECAY) * tf.reduce_mean(rewards[0]))
