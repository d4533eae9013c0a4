"""MCNS: negatives from a power of the positive distribution, by a Markov chain per user.

Source: Z. Yang et al., "Understanding Negative Sampling in Graph Representation Learning", KDD
2020, with the exact acceptance; §5.1. The chain of user u has the stationary distribution

    π_u(v) ∝ σ(e_u·e_v)^power for v in the pool of u, and 0 elsewhere.

From item x it proposes y from q(y|x): with probability `mix` uniform over all items, otherwise
uniform over C(x), the items that a depth-first search from x visits first. It then moves with
probability min(1, π_u(y) q(x|y) / (π_u(x) q(y|x))) (Metropolis-Hastings), else it stays. Each
pair's negatives are k states after `burn` steps; the user's chain continues from the last.

`released` takes the steps of the authors' code (GitHub THUDM/MCNS, samplers/sampler.py) instead. In
each step, all pairs of a batch propose in the same way, uniformly or from C(x), and share the
number that decides on acceptance. The ratio has the proposals of this way alone: 1 if uniform, else
q'(x|y) / q'(y|x) with q'(y|x) = 1 / |C(x)|, and 1 / I in place of q'(x|y) if x is not in C(y). Of
the code, this leaves out that a pair's negative is the first proposal after `burn` steps, accepted
or not, which may be a train positive; that an entry of C(x) may be a user; and that its chains
begin where the last batch ended, whatever the users.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recns_tf.encoders.saving import serializable, to_tensor
from recns_tf.encoders.tables import Tables
from recns_tf.ops import random
from recns_tf.ops.item_sets import ItemSets
from recns_tf.ops.random import Purpose
from recns_tf.samplers.base import Choice, Sampler, SamplerContext, assign_rows, rows_of
from recns_tf.samplers.batch import Batch
from recns_tf.samplers.depth_first import depth_first_lists

if TYPE_CHECKING:
    from recns_tf.config.config import Config

NOT_STARTED = -1


@serializable
class MCNS(Sampler):
    """Markov chain Monte Carlo negative sampling.

    Its state is `chain` int32 [U], the current item of each user's chain, initially NOT_STARTED. A
    chain starts at a uniform item of the pool.

    Args:
        num_negatives: k.
        pool: the items that each user's negatives come from.
        lists: int32 [I, L]; C(x) is the first `lengths[x]` entries of row x, all distinct. The
            other entries are no items.
        lengths: int32 [I], 0 to L; if 0, all proposals are uniform.
        num_users: U.
        mix: probability of a uniform proposal, above 0.
        power: exponent of the positive distribution.
        burn: steps before the first negative.
        thin: steps from one negative to the next.
        released: whether to take the steps of the authors' code.
    """

    scores_large_pool: ClassVar[bool] = True
    needs_scores_alone: ClassVar[bool] = True
    statistics: ClassVar[tuple[str, ...]] = ("acceptance",)

    def __init__(
        self,
        num_negatives: int,
        pool: ItemSets,
        lists: NDArray[np.int32],
        lengths: NDArray[np.int32],
        num_users: int,
        *,
        mix: float = 0.5,
        power: float = 0.75,
        burn: int = 10,
        thin: int = 1,
        released: bool = False,
    ):
        super().__init__(num_negatives)
        self.pool = pool
        self.lists = to_tensor(lists)
        self.lengths = to_tensor(lengths)
        self.num_users = num_users
        self.mix, self.power, self.burn, self.thin = mix, power, burn, thin
        self.released = released
        self.chain = self.add_integers("chain", (num_users,))
        self.chain.assign(tf.fill([num_users], NOT_STARTED))

    @classmethod
    def from_settings(cls, config: Config, context: SamplerContext) -> Self:
        train = context.interactions.train
        return cls(
            config.num_negatives,
            context.pool,
            *depth_first_lists(train, config.mcns_list, config.seed),
            train.shape[0],
            mix=config.mcns_mix,
            power=config.mcns_power,
            burn=config.mcns_burn,
            thin=config.mcns_thin,
            released=config.mcns_kernel == "released",
        )

    def choose(self, batch: Batch, tables: Tables, seed: tf.Tensor) -> Choice:
        """Choose items. `acceptance`: share of the proposals that were accepted."""
        users = batch.users
        vectors = tables.users(users)
        before = rows_of(self.chain, users)
        born = random.with_replacement(self.pool, users, 1, random.stream(seed, Purpose.STATE))
        start = tf.where(before == NOT_STARTED, born[:, 0], before)
        num_steps = self.burn + self.num_negatives * self.thin
        states = tf.TensorArray(tf.int32, num_steps, element_shape=start.shape)

        def step(
            number: tf.Tensor,
            now: tf.Tensor,
            target: tf.Tensor,
            count: tf.Tensor,
            states: tf.Tensor,
        ) -> list[tf.Tensor]:
            branch = random.stream(seed, Purpose.STEP, number)
            proposed = self.propose(now, branch)
            proposed_target = self.log_target(users, vectors, tables, proposed)
            if self.released:
                ratio = self.released_ratio(now, proposed, branch)
            else:
                ratio = self.log_proposal(proposed, now) - self.log_proposal(now, proposed)
            coin = random.uniform(self.shape_of_coins(now), random.stream(branch, Purpose.COIN))
            # A state outside the pool, left from an earlier pool, moves to any proposal inside.
            moves = tf.math.log(coin) < proposed_target - target + ratio
            moves = tf.where(tf.math.is_inf(target), ~tf.math.is_inf(proposed_target), moves)
            now = tf.where(moves, proposed, now)
            target = tf.where(moves, proposed_target, target)
            count += tf.reduce_mean(tf.cast(moves, tf.float32))
            return [number + 1, now, target, count, states.write(number, now)]

        _, last, _, count, states = tf.while_loop(
            lambda number, *_: number < num_steps,
            step,
            [0, start, self.log_target(users, vectors, tables, start), 0.0, states],
        )
        kept = states.stack()[self.burn + self.thin - 1 :: self.thin]
        ids = tf.ensure_shape(tf.transpose(kept), [None, self.num_negatives])
        return Choice(ids, {"acceptance": count / num_steps}, last)

    def update_state(self, batch: Batch, feedback: tf.Tensor) -> None:
        assign_rows(self.chain, batch.users, feedback)

    def propose(self, now: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Draw y from q(y|x) for every x in `now`: int32 [B] -> int32 [B]."""
        shape = tf.shape(now)
        num_items, length = self.lists.shape[0], tf.gather(self.lengths, now)
        anywhere = random.integers(random.stream(seed, Purpose.POOL), num_items, shape)
        place = random.integers(random.stream(seed, Purpose.CHOICE), tf.maximum(length, 1), shape)
        near = tf.gather_nd(self.lists, tf.stack([now, place], axis=1))
        return tf.where(self.goes_anywhere(now, seed) | (length == 0), anywhere, near)

    def shape_of_coins(self, now: tf.Tensor) -> tf.Tensor | list[int]:
        """Return the shape of numbers that each pair has, or all pairs share."""
        return [1] if self.released else tf.shape(now)

    def goes_anywhere(self, now: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return which proposals are uniform, whatever C(x): bool [B], or [1] for all."""
        coin = random.uniform(self.shape_of_coins(now), random.stream(seed, Purpose.ALPHA))
        return coin < self.mix

    def released_ratio(self, x: tf.Tensor, y: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return log q'(x|y) - log q'(y|x) of the authors' code: int32 [B], [B] -> float32 [B].

        Args:
            x: the states.
            y: what `propose` returned.
            seed: of the proposals.
        """
        length = tf.gather(self.lengths, x)
        forward = tf.cast(tf.maximum(length, 1), tf.float32)
        listed = tf.reduce_any(tf.gather(self.lists, y) == x[:, None], axis=1)
        num_items = tf.cast(self.lists.shape[0], tf.float32)
        backward = tf.where(listed, tf.cast(tf.gather(self.lengths, y), tf.float32), num_items)
        ratio = tf.math.log(forward) - tf.math.log(backward)
        return tf.where(self.goes_anywhere(x, seed) | (length == 0), 0.0, ratio)

    def log_proposal(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """Return log q(y|x): int32 [B], [B] -> float32 [B]."""
        length = tf.gather(self.lengths, x)
        listed = tf.reduce_any(tf.gather(self.lists, x) == y[:, None], axis=1)
        near = tf.math.divide_no_nan(tf.cast(listed, tf.float32), tf.cast(length, tf.float32))
        mix = tf.where(length == 0, 1.0, self.mix)
        return tf.math.log(mix / self.lists.shape[0] + (1 - mix) * near)

    def log_target(
        self, users: tf.Tensor, vectors: tf.Tensor, tables: Tables, items: tf.Tensor
    ) -> tf.Tensor:
        """Return log π_u(v) up to a constant per user; -inf outside the pool: float32 [B].

        Args:
            users: int32 [B].
            vectors: their embeddings, float32 [B, d].
            tables: embeddings of the items.
            items: v, int32 [B].
        """
        score = tables.products(vectors, items[:, None])[:, 0]
        inside = self.pool.contains(users, items[:, None])[:, 0]
        return tf.where(inside, self.power * tf.math.log_sigmoid(score), -np.inf)
