"""Build the model that settings describe, its batches, and the region they are drawn from."""

from __future__ import annotations

from pathlib import Path

from recns_tf import losses
from recns_tf.config.config import Config
from recns_tf.encoders.columns import columns_of
from recns_tf.encoders.rows import rows_of
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.ops import kernels
from recns_tf.ops.adam import FusedAdam
from recns_tf.ops.item_sets import ItemSets
from recns_tf.regions.candidate_sets import CandidateSets
from recns_tf.regions.region import build_region
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.parts import Parts
from recns_tf.training.memory import require_enough, require_pools
from recns_tf.training.negative_statistics import NegativeStatistics
from recns_tf.training.pipeline import Pipeline
from recns_tf.training.sampled_rec import SampledRec
from recns_tf.training.strategies import make_strategy
from recns_tf.utils.devices import grow_memory, has_gpu


def build(
    config: Config, interactions: Interactions, cache: Path | None = None
) -> tuple[SampledRec, Pipeline, CandidateSets]:
    """Return the compiled model, its batches, and the region they are drawn from.

    Args:
        config: every setting.
        interactions: the dataset.
        cache: folder to keep the region in, and what a sampler computes from the dataset, if any.

    Raises:
        UserError: a setting does not fit the data, another setting, or the memory.
    """
    # Before anything runs on a GPU, as your own modules may when they are imported.
    grow_memory()
    kernels.use(config.kernels, config.sparse_engine)
    parts = Parts.load(config)
    parts.check(config)
    # The memory of an accelerator is not that of the machine.
    if not has_gpu():
        require_enough(config, interactions)
    kind = parts.sampler.default_region if config.region == "auto" else config.region
    stored = build_region(
        interactions.train,
        kind,
        config.khop,
        config.region_definition,
        memory=config.region_memory,
        cache=cache,
    )
    if stored.form is not None and stored.form.name == "sizes":
        require_pools(config, interactions.num_users)
    region = CandidateSets(
        stored,
        pool_size=config.pool_size,
        pool_epochs=config.pool_epochs,
        seed=config.seed,
    )
    pipeline = Pipeline(
        interactions,
        region.sets,
        batch_size=config.batch_size,
        num_candidates=config.num_candidates,
        seed=config.seed,
        with_candidates=parts.sampler.uses_candidates,
        with_exposed=parts.sampler.uses_exposed,
        pair_sampling=config.pair_sampling,
    )
    if pipeline.with_candidates:
        check_candidates(config, interactions, region)
    with make_strategy(config.strategy).scope():
        model = make_model(config, parts, interactions, region.sets, cache)
    model.refresh()
    return model, pipeline, region


def make_model(
    config: Config,
    parts: Parts,
    interactions: Interactions,
    pool: ItemSets,
    cache: Path | None,
) -> SampledRec:
    """Return the compiled model that settings describe.

    Args:
        config: every setting.
        parts: encoder, sampler and loss, which fit the settings and each other.
        interactions: the dataset.
        pool: the sets that samplers draw items from.
        cache: folder to keep what a sampler computes from the dataset, if any.

    Raises:
        UserError: a setting does not fit the data.
    """
    encoder = parts.encoder.from_settings(config, interactions)
    previous = parts.encoder.from_settings(config, interactions) if config.stale_scores else None
    context = SamplerContext(
        interactions, pool, encoder.width, encoder.layer_width, cache, columns_of(config)
    )
    model = SampledRec(
        encoder,
        parts.sampler.from_settings(config, context),
        losses.with_options(parts.loss, config),
        config.margin,
        config.l2,
        NegativeStatistics.from_interactions(interactions),
        l2_scope=config.l2_scope,
        previous=previous,
        implementation=config.kernels,
        sparse_engine=config.sparse_engine,
        scores=config.scores,
    )
    model.rows = rows_of(config)
    if model.rows is not None and model.sampler.jointly_trained:
        raise UserError(
            f"--strategy=batch would count the gradient of the weights of --sampler="
            f"{config.sampler} once per worker: choose another --sampler."
        )
    adam = FusedAdam(
        config.learning_rate,
        epsilon=config.adam_epsilon,
        clipvalue=config.gradient_clip or None,
    )
    model.compile(optimizer=adam, jit_compile=False)
    model.optimizer.build(model.trained_weights)
    return model


def check_candidates(config: Config, interactions: Interactions, region: CandidateSets) -> None:
    """Raise UserError if M distinct candidates exceed the items of the dataset or of a pool."""
    if config.num_candidates > interactions.num_items:
        raise UserError(
            f"--num_candidates={config.num_candidates}: choose at most "
            f"{interactions.num_items}, the number of items."
        )
    if region.pool is not None and config.pool_size < config.num_candidates:
        raise UserError(
            f"--pool_size={config.pool_size}: choose at least {config.num_candidates}, "
            "--num_candidates."
        )
