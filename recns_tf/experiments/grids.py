"""What the paper's tables and figures vary (§5.2 to §5.4), as data.

An experiment has panels; a panel varies one setting, for some encoders, over the paper's values.
Where the paper does not print a value or an encoder, the entry says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from recns_tf.experiments import figures, tables
from recns_tf.experiments.results import Line

ALL_ENCODERS = ("pinsage", "ngcf", "lightgcn")
RECNS = {"sampler": "recns"}


@dataclasses.dataclass(frozen=True)
class Panel:
    """One setting varied.

    Attributes:
        title: what it shows.
        setting: field of Config that is varied.
        values: the paper's.
        encoders: the paper's.
        fixed: settings that all its runs share, unless the command line says otherwise.
        reference: the value that is tested against the best of the others, if any.
        labels: what the paper calls the values.
        layout: makes its table.
        pictures: draw it.
    """

    title: str
    setting: str
    values: tuple[Any, ...]
    encoders: tuple[str, ...] = ALL_ENCODERS
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=lambda: RECNS)
    reference: Any = None
    labels: Mapping[Any, str] = dataclasses.field(default_factory=dict)
    layout: Callable[[Sequence[Line], str], list[str]] = tables.by_encoder
    pictures: tuple[Callable[..., None], ...] = ()


class Experiment(NamedTuple):
    """A table or figure of the paper."""

    title: str
    panels: tuple[Panel, ...]


EXPERIMENTS = {
    "table2": Experiment(
        "Table 2: RecNS and negative samplers of the literature",
        (
            Panel(
                "sampler",
                "sampler",
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
                "sampler",
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
                pictures=(figures.curves, figures.line),
            ),
        ),
    ),
    "fig5": Experiment(
        "Figure 5: the law of the assistance coefficient α",
        (
            Panel(
                "law of α",
                "alpha",
                ("uniform(0,1)", "uniform(0,0.5)", "normal(0,1)", "normal(0,0.5)"),
                ("pinsage",),
                labels={
                    "uniform(0,1)": "U(0, 1)",
                    "uniform(0,0.5)": "U(0, 0.5)",
                    "normal(0,1)": "N(0, 1)",
                    "normal(0,0.5)": "N(0, 0.5)",
                },
                pictures=(figures.bars,),
            ),
        ),
    ),
    "fig6": Experiment(
        "Figure 6: margin γ, dimension d, and number M of candidates",
        (
            # The paper prints no values of the margin; it must be above 0, and 0.1 is the best.
            Panel(
                "γ",
                "margin",
                (0.05, 0.1, 0.2, 0.3, 0.5),
                ("pinsage",),
                pictures=(figures.line,),
            ),
            Panel(
                "d",
                "dim",
                (64, 128, 256, 512, 1024, 2048),
                ("pinsage",),
                pictures=(figures.line,),
            ),
            Panel(
                "M",
                "num_candidates",
                (5, 10, 20, 30, 50),
                ("pinsage",),
                pictures=(figures.line,),
            ),
        ),
    ),
    # The paper's text names no encoder for figures 7 and 8. The region "auto" is RecNS's own, the
    # intermediate one; so called, its runs are those of the tables.
    "fig7": Experiment(
        "Figure 7: the three-region principle",
        (
            Panel(
                "region",
                "region",
                ("distant", "all", "auto"),
                reference="auto",
                labels={"distant": "RecNS-Dis", "all": "RecNS-All", "auto": "RecNS-Med"},
                pictures=(figures.bars,),
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
                pictures=(figures.bars,),
            ),
        ),
    ),
    "fig9": Experiment(
        "Figure 9: exposure-augmented sampling, and the number of exposed negatives",
        (
            Panel(
                "exposures",
                "sampler",
                ("recns-o", "recns"),
                ("lightgcn",),
                fixed={},
                reference="recns",
                labels={"recns-o": "RecNS w/o e-a", "recns": "RecNS"},
                pictures=(figures.bars,),
            ),
            Panel(
                "exposed negatives",
                "num_exposed",
                (1, 5, 10, 15, 20),
                ("pinsage",),
                pictures=(figures.line,),
            ),
        ),
    ),
}
