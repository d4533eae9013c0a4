"""Flags of the samplers and of the regions they draw from."""

from __future__ import annotations

import dataclasses

from recns_tf import registry
from recns_tf.config import distributions
from recns_tf.config.flags import (
    A_FEW,
    A_WAIT,
    A_WIDTH,
    NOT_NEGATIVE,
    ODD_FROM_3,
    POSITIVE,
    Checked,
    Rule,
    above,
    between,
    one_of,
    one_of_or_custom,
    option,
    whole,
)
from recns_tf.errors import UserError


def is_distribution(text: str) -> bool:
    """Return whether `text` is a distribution that `distributions.parse` accepts."""
    try:
        distributions.parse(text)
    except UserError:
        return False
    return True


A_POOL = whole(1, 10_000_000)
"""A number of items for a user or a batch."""
A_POWER = between(0, 100)
A_DISTRIBUTION = Rule("uniform(a,b) with a < b, normal(mean,variance) or a number", is_distribution)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SamplerSettings(Checked):
    """Settings of the negative sampler S_n.

    Defaults are the paper's (§5.1) unless the help text says otherwise.
    """

    sampler: str = option(
        "recns", "S_n, the negative sampler", one_of_or_custom(*registry.SAMPLERS), alias="strategy"
    )
    num_negatives: int = option(
        15, "k, negatives per positive pair; inbatch ignores it", A_FEW, alias="K_negs"
    )
    num_candidates: int = option(
        20,
        "M, candidates per pair (RecNS) or per negative (dns, dns-mn, ahns, bns, mixgcf, dens)",
        A_FEW,
        alias="K_Candidates",
    )
    alpha: str = option(
        "uniform(0,1)",
        "distribution of the assistance coefficient, drawn for every pair and candidate",
        A_DISTRIBUTION,
    )
    draw_law: str = option(
        "proportional",
        "recns, recns-o: how negatives are drawn from the candidates; proportional is eq. (7), "
        "softmax the authors' LightGCN, user_softmax their PinSage, hardest is Figure 8's variant",
        one_of(*registry.DRAW_LAWS),
    )
    merge: str = option(
        "flat",
        "recns: how negatives are merged; flat is eq. (11), nested is the authors' code, which "
        "merges the first negative into the exposed one beforehand",
        one_of(*registry.MERGES),
    )
    num_exposed: int = option(
        1, "recns: exposed negatives per pair, assigned to its negatives in turn (Figure 9)", A_FEW
    )
    exposed_weight: float = option(
        1.0,
        "recns: weight of the exposed negative in a merged one, as a multiple of 1/k, up to k; 1 "
        "is eq. (11), 0 leaves the exposed negative out",
        between(0, 10_000),
    )
    renormalize: bool = option(
        False, "recns: scale merged negatives to length 1, as the authors' PinSage does"
    )
    popularity_power: float = option(
        0.75,
        "popns: exponent of the popularity; default as in word2vec, 1 in the authors' helper; 0 "
        "is unins",
        A_POWER,
    )
    exposed_share: float = option(
        0.5,
        "mixedns: omega, share of the negatives that are exposed items; not given in the paper",
        between(0, 1),
    )
    exposed_share_per_user: bool = option(
        False,
        "mixedns: multiply omega by the share of a user's items, exposed or clicked, that were not "
        "clicked",
    )
    dns_top: int = option(
        0,
        "dns-mn: M, the best candidates that a negative is one of, at most --num_candidates; 0 for "
        "a quarter of them",
        whole(0, 10_000),
    )
    ahns_alpha: float = option(
        1.0, "ahns: alpha, added to the score of the positive (its code)", NOT_NEGATIVE
    )
    ahns_beta: float = option(0.1, "ahns: beta, scale of the target score (its code)", POSITIVE)
    ahns_power: float = option(
        -2.0,
        "ahns: p; the target score is beta times the (p + 1)th power of the positive's score plus "
        "alpha (its code)",
        between(-10, -1),
    )
    bns_weight: float = option(
        5.0, "bns: lambda, how much true negatives are preferred to hard ones", NOT_NEGATIVE
    )
    bns_items: int = option(
        2_000,
        "bns: items that the distribution of a user's scores is estimated from; 0 for all, which "
        "is exact, as it is if there are no more items",
        whole(0, 10_000_000),
    )
    inbatch_hits: str = option(
        "mask",
        "inbatch: what happens to positives of other pairs that are train positives of the user; "
        "mask: they are left out; keep: they are negatives, as in the code of BSL",
        one_of(*registry.INBATCH_HITS),
    )
    inbatch_logq: bool = option(
        False,
        "inbatch: subtract the logarithm of the frequency of a negative among the train pairs from "
        "its score in the loss, after division by the temperature if the loss has one (Yi et al. "
        "2019)",
    )
    ppr_first: int = option(
        2_000,
        "ppr-hard: first rank of the hard negatives of a positive by its personalized PageRank "
        "(PinSage); scaled down with --ppr_last if there are fewer items",
        A_POOL,
    )
    ppr_last: int = option(5_000, "ppr-hard: last rank of the hard negatives (PinSage)", A_POOL)
    ppr_per_epoch: int = option(
        1, "ppr-hard: hard negatives added in each epoch after the first (PinSage)", A_FEW
    )
    ppr_list: int = option(
        100,
        "ppr-hard: items drawn once from those ranks for each positive; all if they are fewer",
        A_FEW,
    )
    ppr_restart: float = option(
        0.5, "ppr-hard: probability that a walk restarts after two edges", between(0.01, 0.99)
    )
    dens_weight: float = option(
        0.3, "dens: gamma, weight of the loss that trains its gates (its code)", NOT_NEGATIVE
    )
    dens_warmup: int = option(
        100,
        "dens: epochs over which the choice turns from irrelevant factors to relevant ones (its "
        "code)",
        A_WAIT,
    )
    simns_pool: int = option(
        2_000, "simns: items in a batch's pool, as in its experiments (deezer)", A_POOL
    )
    simns_power: float = option(
        1.0, "simns: exponent of the popularity for the pool (deezer)", A_POWER
    )
    simns_clip: float = option(
        1.0, "simns: cosines above this value count as equal; 1 for no limit", between(0, 1)
    )
    generator_candidates: int = option(
        300,
        "advns, rns-as: candidates per pair, as many as dns scores for 15 negatives; IRGAN uses "
        "all items, KBGAN 20",
        A_POOL,
    )
    generator_temperature: float = option(
        1.0, "advns, rns-as: temperature of the softmax over candidates (KBGAN)", POSITIVE
    )
    generator_dim: int = option(64, "advns, rns-as: embedding dimension of the generator", A_WIDTH)
    generator_learning_rate: float = option(
        1e-3, "advns, rns-as: Adam's step size for the generator (RNS)", POSITIVE
    )
    generator_l2: float = option(
        1e-5,
        "advns, rns-as: L2 coefficient of the generator's rows in a batch (RNS)",
        NOT_NEGATIVE,
    )
    generator_warmup: int = option(
        5,
        "advns, rns-as: first epochs, with uniform negatives, in which the generator is trained "
        "with BPR; the sources start from pretrained models",
        A_WAIT,
    )
    advns_baseline: str = option(
        "mean",
        "advns: baseline of the reward; mean is a running mean, others the mean of the pair's "
        "other negatives",
        one_of(*registry.BASELINES),
    )
    adv_epsilon: float = option(
        0.0,
        "advns: length of the perturbation of the negatives' embeddings along the gradient of the "
        "loss (AdvIR); 0 for none",
        NOT_NEGATIVE,
    )
    rnsas_exposed: int = option(
        10, "rns-as: exposed items among the candidates, 1 in 30 as in its code", whole(0, 10_000)
    )
    rnsas_weight: float = option(
        2.5, "rns-as: weight of the rewards from exposures (its code for Zhihu)", NOT_NEGATIVE
    )
    rnsas_feature_share: float = option(
        0.75, "rns-as: share of feature matching in those rewards (its code)", between(0, 1)
    )
    rnsas_feature_pairs: int = option(
        1_024, "rns-as: pairs of a batch used for feature matching", A_POOL
    )
    mcns_list: int = option(
        100, "mcns: items that the depth-first search lists for each item (its code)", A_FEW
    )
    mcns_mix: float = option(
        0.5,
        "mcns: share of the proposals that are uniform (its code)",
        above(0, 1),
    )
    mcns_kernel: str = option(
        "exact",
        "mcns: steps of a chain; exact: with the stationary distribution of its paper; released: "
        "those of its code, in which a batch shares decisions",
        one_of(*registry.MCNS_KERNELS),
    )
    mcns_power: float = option(
        0.75, "mcns: exponent of the positive distribution (its paper)", A_POWER
    )
    mcns_burn: int = option(
        10, "mcns: steps before a pair's first negative (its code)", whole(0, 10_000)
    )
    mcns_thin: int = option(1, "mcns: steps from one negative to the next", A_FEW)
    srns_memory: int = option(
        0,
        "srns: items in each user's memory; 0 for 8 k, 8 per negative as in its code",
        whole(0, 100_000),
    )
    srns_extra: int = option(
        0, "srns: items offered to a memory per step; 0 for as many as it holds", whole(0, 100_000)
    )
    srns_weight: float = option(
        5.0, "srns: weight of the standard deviation (its code for MovieLens)", NOT_NEGATIVE
    )
    srns_warmup: int = option(
        50,
        "srns: epochs over which that weight grows to its value (its code for MovieLens)",
        A_WAIT,
    )
    srns_temperature: float = option(
        10.0,
        "srns: temperature of the softmax that updates a memory (its code for MovieLens); 1 in the "
        "flagfile of PinSage, whose embeddings have length 1",
        POSITIVE,
    )
    srns_window: int = option(
        5, "srns: epochs over which the standard deviation is computed (its code)", A_FEW
    )
    srns_afresh: bool = option(
        False, "srns: draw new memories every epoch, as its code in effect does"
    )
    region: str = option(
        "auto",
        "items that negatives are drawn from; random is a random set of unobserved items, as many "
        "as the intermediate region has; all is every unobserved item; auto is intermediate for "
        "RecNS and its parts, and all for the other samplers",
        one_of("auto", *registry.REGIONS),
    )
    khop: int = option(
        3, "length of the walks that define the intermediate region", ODD_FROM_3, alias="khops"
    )
    region_definition: str = option(
        "walk",
        "walk: items that a walk of khop steps reaches; shell: only those that no shorter walk "
        "reaches",
        one_of(*registry.REGION_DEFINITIONS),
        alias="region_reading",
    )
    region_memory: float = option(
        2.0,
        "gigabytes available for the exact regions of all users; if they need more, candidates "
        "are drawn from pools",
        between(0, 1_000_000),
    )
    pool_size: int = option(512, "P, items in each user's pool", A_POOL)
    pool_epochs: int = option(1, "epochs before pools are redrawn; 0 for never", A_WAIT)
