"""What exists, by name: datasets, encoders, samplers, losses, and the kinds of smaller parts.

Each name points at the code behind it as "module:object" and is imported when it is asked
for, so that listing what exists needs no TensorFlow. To add a room to the house, write its
file and add its line here.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from typing import Any, NamedTuple

from recns_tf.errors import UserError


class Entry(NamedTuple):
    """A named part: where its code stands, and what it is in one line."""

    target: str
    summary: str

    def load(self) -> Any:
        """Import and return the object the entry points at."""
        return pkgutil.resolve_name(self.target)


DATASETS = {
    "zhihu": Entry("recns_tf.datasets.zhihu:load", "the paper's Zhihu, downloaded (or put there)"),
    "alibaba": Entry("recns_tf.datasets.alibaba:load", "the paper's Alibaba, for who has it"),
    "ml-100k": Entry(
        "recns_tf.datasets.ml_100k:load",
        "MovieLens 100k: ratings of 4 and 5 are positives, 1 to 3 exposed",
    ),
    "kuairand-pure": Entry(
        "recns_tf.datasets.kuairand_pure:load", "Kuaishou's videos shown, watched long or not"
    ),
    "mind": Entry("recns_tf.datasets.mind:load", "Microsoft's news shown, clicked or not"),
    "taobao": Entry("recns_tf.datasets.taobao:load", "Taobao's ads shown, clicked or not"),
    "ccir-zhihu": Entry("recns_tf.datasets.ccir_zhihu:load", "the log that Zhihu was made from"),
    "gowalla": Entry("recns_tf.datasets.positives_only:load", "check-ins, without exposures"),
    "yelp2018": Entry("recns_tf.datasets.positives_only:load", "visits, without exposures"),
    "amazon-book": Entry("recns_tf.datasets.positives_only:load", "books, without exposures"),
    "synthetic-small": Entry(
        "recns_tf.datasets.synthetic:load",
        "made up, no download: 1,000 users, 2,000 items, 40 thousand clicks",
    ),
    "synthetic-zhihu": Entry(
        "recns_tf.datasets.synthetic:load",
        "made up in Zhihu's size and degrees: 3.3 million clicks",
    ),
    "synthetic-alibaba": Entry(
        "recns_tf.datasets.synthetic:load",
        "made up in the size of the paper's Alibaba: 7.1 million clicks",
    ),
    "synthetic": Entry(
        "recns_tf.datasets.synthetic:load",
        "made up in any size: --synthetic_users=…, _items, _clicks, _exposures",
    ),
}

ENCODERS = {
    "lightgcn": Entry("recns_tf.encoders.lightgcn:LightGCN", "LightGCN, He et al. 2020"),
    "ngcf": Entry("recns_tf.encoders.ngcf:NGCF", "NGCF, Wang et al. 2019"),
    "pinsage": Entry("recns_tf.encoders.pinsage:PinSage", "PinSage, Ying et al. 2018"),
    "mf": Entry("recns_tf.encoders.mf:MF", "matrix factorisation: no propagation at all"),
}

SAMPLERS = {
    "recns": Entry("recns_tf.samplers.recns:RecNS", "RecNS-O and RecNS-W merged (eq. 10, 11)"),
    "recns-o": Entry(
        "recns_tf.samplers.positive_assisted:PositiveAssisted",
        "RecNS without exposure: positive-assisted sampling (eq. 7)",
    ),
    "recns-w": Entry(
        "recns_tf.samplers.exposure_augmented:ExposureAugmented",
        "the exposure part of RecNS alone (eq. 8, 9)",
    ),
    "unins": Entry("recns_tf.samplers.uniform:UniNS", "uniform over the unobserved items"),
    "popns": Entry("recns_tf.samplers.popularity:PopNS", "by a power of popularity"),
    "dns": Entry("recns_tf.samplers.dynamic:DNS", "the best scored of M uniform items"),
    "simns": Entry("recns_tf.samplers.similarity:SimNS", "popular items like the positive"),
    "advns": Entry("recns_tf.samplers.adversarial:AdvNS", "from a generator, adversarially"),
    "mcns": Entry("recns_tf.samplers.markov_chain:MCNS", "by a Markov chain a user"),
    "srns": Entry("recns_tf.samplers.variance:SRNS", "high scores that vary, from a memory"),
    "expns": Entry("recns_tf.samplers.exposed:ExpNS", "exposed items alone"),
    "mixedns": Entry("recns_tf.samplers.mixed:MixedNS", "exposed items and others mixed"),
    "rns-as": Entry("recns_tf.samplers.reinforced:RNSAS", "from a generator that knows exposures"),
}

LOSSES = {
    "pairwise_hinge": Entry("recns_tf.losses:pairwise_hinge", "hinge of each pair of sigmoids"),
    "augmented_hinge": Entry("recns_tf.losses:augmented_hinge", "eq. (5) to the letter"),
    "plain_hinge": Entry("recns_tf.losses:plain_hinge", "hinge of Algorithm 3, without sigmoid"),
    "bpr": Entry("recns_tf.losses:bpr", "Bayesian personalised ranking"),
}

BASELINE_MODELS = {
    "popular": Entry("recns_tf.baselines.popular:fits", "the most popular items, for everyone"),
    "itemknn": Entry("recns_tf.baselines.item_knn:fits", "ItemKNN, Deshpande & Karypis 2004"),
    "ease": Entry("recns_tf.baselines.ease:fits", "EASE, Steck 2019; small catalogues"),
}

EXPERIMENTS = (
    "table2", "table3", "table4", "table5", "fig4", "fig5", "fig6", "fig7", "fig8", "fig9",
)  # fmt: skip
"""The tables and figures of the paper, which experiments/grids.py makes."""

ALL_EXPERIMENTS = "all"

OWN = ":"
"""What marks a name as module:object."""

REGIONS = ("intermediate", "distant", "all")
REGION_READINGS = ("walk", "shell")
LAYOUTS = ("pinsage", "lightgcn")
SPLITS = ("auto", "random", "temporal")
POSITIVE_LABELS = ("long_view", "is_click")
LAYER_WEIGHTS = ("mean", "learned")
RANKING_NEIGHBORS = ("all", "drawn")
BASELINES = ("mean", "others")
ADJACENCIES = ("symmetric", "row")
INITIALIZERS = ("glorot", "normal")
NEIGHBOR_DRAWS = ("own", "shared")
L2_SCOPES = ("own", "all")
PAIR_SAMPLINGS = ("edges", "filled", "users")
VALIDATION_PARTS = ("valid", "test")
DRAW_LAWS = ("proportional", "softmax", "user_softmax", "hardest")
MERGES = ("flat", "nested")
SPARSE_ENGINES = ("csr", "coo")
RANKERS = ("faiss", "tensorflow")


def find(entries: Mapping[str, Entry], kind: str, name: str) -> Entry:
    """Return the entry called `name`, or one of the reader's own, given as module:object.

    Raises:
        UserError: there is none; the sentence lists the names that exist.
    """
    if name in entries:
        return entries[name]
    if OWN not in name:
        raise UserError(f"unknown {kind} '{name}': choose one of {', '.join(entries)}.")
    own = Entry(name, "the reader's own")
    try:
        own.load()
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"the {kind} {name} cannot be loaded: {error}.") from error
    return own


def describe() -> str:
    """Return the lists of what exists, one indented line a name."""
    parts = {
        "Datasets": DATASETS,
        "Encoders": ENCODERS,
        "Samplers": SAMPLERS,
        "Losses": LOSSES,
        "Baselines": BASELINE_MODELS,
    }
    lines = []
    for title, entries in parts.items():
        lines.append(f"{title}:")
        lines += [f"  {name:<17} {entry.summary}" for name, entry in entries.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(describe())
