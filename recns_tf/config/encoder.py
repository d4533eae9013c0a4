"""Flags of the encoders."""

from __future__ import annotations

import dataclasses

from recns_tf import registry
from recns_tf.config.flags import (
    A_RATE,
    A_WAIT,
    A_WIDTH,
    Checked,
    list_of,
    one_of,
    one_of_or_custom,
    option,
    whole,
)

MOST_LAYERS = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderSettings(Checked):
    """Settings of the encoder E_θ.

    Defaults are the paper's (§5.1) unless the help text says otherwise.
    """

    encoder: str = option(
        "lightgcn", "E_theta, the graph encoder", one_of_or_custom(*registry.ENCODERS)
    )
    dim: int = option(64, "d, embedding dimension", A_WIDTH, alias="embed_size")
    num_layers: int = option(3, "L, propagation layers", whole(1, MOST_LAYERS))
    layer_weights: str = option(
        "mean",
        "lightgcn: weights of the layers in the final embedding; mean is 1 / (L + 1) each",
        one_of(*registry.LAYER_WEIGHTS),
    )
    adjacency: str = option(
        "symmetric",
        "lightgcn, ngcf: normalization; symmetric is D^-1/2 A D^-1/2, row is D^-1 (A + I), as in "
        "the authors' code",
        one_of(*registry.ADJACENCIES),
    )
    initializer: str = option(
        "glorot",
        "initial values of layer-0 embeddings; glorot: Xavier uniform, for users and items "
        "separately; joint_glorot: for both as one table, as in the authors' PinSage; normal: "
        "standard deviation 0.01, as in their LightGCN; tiny_normal: 0.0001, as in RePo and in "
        "SimpleX",
        one_of(*registry.INITIALIZERS),
    )
    ngcf_form: str = option(
        "paper",
        "ngcf: its layer; paper: eq. (7), with --adjacency=symmetric; code: that of its authors' "
        "NGCF.py, with --adjacency=row",
        one_of(*registry.NGCF_FORMS),
    )
    message_dropout: float = option(
        0.1, "ngcf: share of each layer's outputs set to 0 in training", A_RATE
    )
    node_dropout: float = option(
        0.0, "ngcf: share of the nodes that send no messages in training", A_RATE
    )
    num_neighbors: str = option(
        "25,10",
        "pinsage: number of neighbors drawn for the first layer, the second, …; the last number "
        "applies to all further layers",
        list_of(1, 10_000, "25,10", most=MOST_LAYERS),
    )
    feature_dim: int = option(50, "pinsage: dimension of the node features", A_WIDTH)
    ranking_neighbors: str = option(
        "all",
        "pinsage: neighbors used to compute embeddings for ranking; drawn: the same ones at every "
        "validation",
        one_of(*registry.RANKING_NEIGHBORS),
    )
    neighbor_draw: str = option(
        "own",
        "pinsage: how neighbors are drawn; own: separately for each node; shared: columns of a "
        "table drawn once, as in the authors' code",
        one_of(*registry.NEIGHBOR_DRAWS),
    )
    table_steps: int = option(
        0,
        "pinsage: steps between encodings of all nodes, for samplers that score many items; 0 to "
        "encode only at the start of each epoch",
        A_WAIT,
    )
