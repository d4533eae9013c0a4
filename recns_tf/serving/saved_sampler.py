"""A sampler with its encoder as a TensorFlow SavedModel, for training in another program.

The model needs TensorFlow alone. It contains the graph of `Sampler.sample` in TensorFlow's own
operations, whatever --kernels is, with the weights of the encoder and the state of the sampler. It
chooses; it does not train: `update_state` and `begin_epoch` are not part of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from recns_tf.encoders.base import Encoder
from recns_tf.errors import UserError
from recns_tf.ops import kernels
from recns_tf.ops.item_sets import Pool
from recns_tf.samplers.base import Sampler
from recns_tf.samplers.batch import Batch
from recns_tf.serving.saved_model import save
from recns_tf.utils import folders

LARGEST_CONSTANTS = 1_500_000_000
"""Bytes of item sets in a model. TensorFlow limits a graph, which holds them, to 2 GB."""


class SavedSampler(tf.Module):
    """The content of a SavedModel.

    Weights are shared with the encoder and the sampler: a model
    that is saved after further training has the weights and the state of that time.

    Args:
        encoder: E_θ.
        sampler: S_n. Its pools, if any, must have been drawn (`CandidateSets.prepare`).

    Raises:
        UserError: the encoder propagates with --sparse_engine=csr, the pools are empty, or the item
            sets are too large for a graph.

    Example:
        >>> saved = SavedSampler(encoder, sampler)
        >>> ids = saved.sample(*batch)["ids"]
    """

    def __init__(self, encoder: Encoder, sampler: Sampler):
        super().__init__()
        pool = getattr(sampler, "pool", None)
        if isinstance(pool, Pool) and not tf.reduce_any(pool.counts > 0):
            raise UserError("the sampler's pools are empty: call CandidateSets.prepare first.")

        # A closure, because an encoder that is an attribute would be saved with all its functions.
        def sample(
            users: tf.Tensor,
            positives: tf.Tensor,
            candidates: tf.Tensor,
            exposed: tf.Tensor,
            seed: tf.Tensor,
        ) -> dict[str, tf.Tensor]:
            batch = Batch(users, positives, candidates, exposed, seed)
            # Here, because TensorFlow may trace the function again when it is saved.
            with kernels.using(kernels.TENSORFLOW, kernels.COO):
                negatives = sampler.sample(batch, sampler.encode(encoder, False), seed)
            found = {
                "ids": negatives.ids,
                "scores": negatives.scores,
                "positive_scores": negatives.positive_scores,
                "kept": negatives.kept,
                "shift": negatives.shift,
            }
            return {name: value for name, value in found.items() if value is not None}

        many, rows = (tf.TensorSpec([None] * rank, tf.int32) for rank in (1, 2))
        self.sample = tf.function(
            sample,
            input_signature=[many, many, rows, rows, tf.TensorSpec([2], tf.int64)],
            autograph=False,
        )
        graph = self.sample.get_concrete_function().graph
        require_storable(graph)
        # A SavedModel has only the variables that its modules name.
        self.state = list(graph.variables)

    def signatures(self) -> dict[str, Any]:
        """Return the functions that the model answers with, by name.

        serving_default: users and positives, int32 [B], the pairs; candidates and exposed, int32
            [B, M], as in Batch, or [B, 0] for a sampler that does not use them; and seed, int64
            [2], which determines the draws -> ids, int32 [B, k], the negatives; scores, float32
            [B, k]; and positive_scores, float32 [B]. All are those of `Sampler.sample` on the
            embeddings that the encoder ranks with. `inbatch` also returns its `kept` and `shift`,
            if any; see Negatives.
        """
        return {"serving_default": self.sample}


def require_storable(graph: Any) -> None:
    """Raise UserError if a SavedModel cannot hold the constants of a graph."""
    kinds = [each.dtype for each in graph.external_captures]
    if tf.variant in kinds:
        raise UserError(
            "a SavedModel cannot hold the matrix of --sparse_engine=csr: build the encoder with "
            "--sparse_engine=coo, which has the same weights."
        )
    size = sum(
        int(np.prod(each.shape)) * each.dtype.size
        for each in graph.external_captures
        if each.dtype != tf.resource
    )
    if size > LARGEST_CONSTANTS:
        raise UserError(
            f"the item sets of the sampler take {size / 1e9:.1f} GB in a SavedModel, which has "
            f"room for {LARGEST_CONSTANTS / 1e9:.1f}: choose a lower --region_memory."
        )


def export(
    encoder: Encoder, sampler: Sampler, directory: str | Path, *, overwrite: bool = False
) -> Path:
    """Write a sampler with its encoder as a SavedModel.

    Args:
        encoder, sampler: see SavedSampler.
        directory: the folder, which appears whole or not at all.
        overwrite: whether to replace it if it exists.

    Returns:
        The folder.

    Raises:
        UserError: the folder exists, another process writes it, there is too little space on the
            disk, or as in SavedSampler.

    Example:
        >>> model, _ = load("runs/ml-100k-mf-dns")
        >>> export(model.encoder, model.sampler, "served/dns")
    """
    target = Path(directory)
    with folders.claim(target, f"another process is writing {target}."):
        if target.exists() and not overwrite:
            raise UserError(f"{target} already exists: choose another folder, or overwrite=True.")
        save(SavedSampler(encoder, sampler), target)
    return target
