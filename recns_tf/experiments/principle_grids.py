"""Experiments that the paper does not have: where a gain of RecNS could come from.

Each isolates one difference between RecNS and the samplers that it is compared with.
"""

from __future__ import annotations

from recns_tf.experiments import figures
from recns_tf.experiments.panels import RECNS, SAMPLER, Experiment, Panel

COMPARED = ("unins", "dns", "srns", "recns")
"""The samplers compared: the simplest, two that draw hard negatives, and RecNS."""

LIGHTGCN = ("lightgcn",)
LOSSES = ("bpr", "pairwise_hinge")
PRINCIPLE = {
    # Baselines with their usual k and loss against RecNS with the paper's differ in more than how
    # negatives are drawn.
    "loss": Experiment(
        "The number k of negatives and the loss",
        tuple(
            Panel(
                f"k = {k}, {loss}",
                SAMPLER,
                COMPARED,
                LIGHTGCN,
                fixed={"num_negatives": k, "loss": loss},
                reference="recns",
                heading=SAMPLER,
                pictures=(figures.plot_bars,),
            )
            for k in (1, 15)
            for loss in LOSSES
        ),
    ),
    "exposures": Experiment(
        "The weight of exposed negatives",
        (
            Panel(
                "k times the weight",
                "exposed_weight",
                (0.0, 1.0, 2.0, 4.0, 7.5),
                LIGHTGCN,
                fixed=RECNS | {"num_negatives": 15},
                reference=1.0,
                pictures=(figures.plot_lines,),
            ),
        ),
    ),
    "control": Experiment(
        "The intermediate region, and random items in its place",
        (
            Panel(
                "region",
                "region",
                ("auto", "random", "all"),
                LIGHTGCN,
                reference="auto",
                labels={"auto": "intermediate"},
                pictures=(figures.plot_bars,),
            ),
        ),
    ),
    "density": Experiment(
        "The density of the train positives",
        tuple(
            Panel(
                f"{share:.0%} of the train positives",
                SAMPLER,
                COMPARED,
                LIGHTGCN,
                fixed={"train_share": share},
                reference="recns",
                heading=SAMPLER,
                pictures=(figures.plot_bars,),
            )
            for share in (0.2, 0.5, 0.8, 1.0)
        ),
    ),
}
