"""The grids of the paper's tables and figures (§5.2 to §5.4), as data.

An experiment has panels. A panel varies one setting over the paper's values, for some encoders.
Comments mark values and encoders that the paper does not state.
"""

from __future__ import annotations

from recns_tf.experiments import figures, tables
from recns_tf.experiments.panels import SAMPLER, Experiment, Panel
from recns_tf.experiments.principle_grids import PRINCIPLE

PAPER = {
    "table2": Experiment(
        "Table 2: RecNS and negative samplers of the literature",
        (
            Panel(
                "sampler",
                SAMPLER,
                ("unins", "popns", "advns", "dns", "simns", "mcns", "srns", "recns"),
                fixed={},
                reference="recns",
                layout=tables.by_value,
            ),
        ),
    ),
    "table3": Experiment(
        "Table 3: RecNS and samplers that use exposures",
        (
            Panel(
                "sampler",
                SAMPLER,
                ("expns", "mixedns", "rns-as", "recns"),
                fixed={},
                reference="recns",
            ),
        ),
    ),
    "table4": Experiment(
        "Table 4: the separating criterion khop", (Panel("khop", "khop", (3, 5, 7)),)
    ),
    "table5": Experiment(
        "Table 5: the number L of propagation layers",
        (
            Panel(
                "L",
                "num_layers",
                (1, 2, 3, 4),
                ("ngcf", "lightgcn"),
                layout=tables.by_value_and_encoder,
            ),
        ),
    ),
    "fig4": Experiment(
        "Figure 4: the number k of negatives",
        (
            Panel(
                "k",
                "num_negatives",
                (1, 5, 10, 15, 20),
                ("pinsage",),
                pictures=(figures.plot_curves, figures.plot_lines),
            ),
        ),
    ),
    "fig5": Experiment(
        "Figure 5: the distribution of the assistance coefficient α",
        (
            Panel(
                "distribution of α",
                "alpha",
                ("uniform(0,1)", "uniform(0,0.5)", "normal(0,1)", "normal(0,0.5)"),
                ("pinsage",),
                labels={
                    "uniform(0,1)": "U(0, 1)",
                    "uniform(0,0.5)": "U(0, 0.5)",
                    "normal(0,1)": "N(0, 1)",
                    "normal(0,0.5)": "N(0, 0.5)",
                },
                pictures=(figures.plot_bars,),
            ),
        ),
    ),
    "fig6": Experiment(
        "Figure 6: margin γ, dimension d, and number M of candidates",
        (
            # The paper does not state the margins, only that 0.1 is best.
            Panel(
                "γ",
                "margin",
                (0.05, 0.1, 0.2, 0.3, 0.5),
                ("pinsage",),
                pictures=(figures.plot_lines,),
            ),
            Panel(
                "d",
                "dim",
                (64, 128, 256, 512, 1024, 2048),
                ("pinsage",),
                pictures=(figures.plot_lines,),
            ),
            Panel(
                "M",
                "num_candidates",
                (5, 10, 20, 30, 50),
                ("pinsage",),
                pictures=(figures.plot_lines,),
            ),
        ),
    ),
    # The paper does not state the encoder of figures 7 and 8. "auto" is the intermediate region for
    # RecNS; with this value the runs are shared with the tables.
    "fig7": Experiment(
        "Figure 7: the three-region principle",
        (
            Panel(
                "region",
                "region",
                ("distant", "all", "auto"),
                reference="auto",
                labels={"distant": "RecNS-Dis", "all": "RecNS-All", "auto": "RecNS-Med"},
                pictures=(figures.plot_bars,),
            ),
        ),
    ),
    "fig8": Experiment(
        "Figure 8: positive-assisted sampling, and the hardest candidates without it",
        (
            Panel(
                "draw",
                "draw_law",
                ("hardest", "proportional"),
                reference="proportional",
                labels={"hardest": "RecNS w/o p-a", "proportional": "RecNS"},
                pictures=(figures.plot_bars,),
            ),
        ),
    ),
    "fig9": Experiment(
        "Figure 9: exposure-augmented sampling, and the number of exposed negatives",
        (
            Panel(
                "exposures",
                SAMPLER,
                ("recns-o", "recns"),
                ("lightgcn",),
                fixed={},
                reference="recns",
                labels={"recns-o": "RecNS w/o e-a", "recns": "RecNS"},
                pictures=(figures.plot_bars,),
            ),
            Panel(
                "exposed negatives",
                "num_exposed",
                (1, 5, 10, 15, 20),
                ("pinsage",),
                pictures=(figures.plot_lines,),
            ),
        ),
    ),
}

EXPERIMENTS = PAPER | PRINCIPLE
