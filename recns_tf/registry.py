"""The registry: commands, datasets, encoders, samplers, losses and baselines by name.

Each entry refers to its code as "module:object", which is imported on demand, so that listing the
names does not import TensorFlow. To add a part, write its module and add an entry here.
"""

from __future__ import annotations

import difflib
import pkgutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from recns_tf.errors import UserError, first_line
from recns_tf.utils import folders


class Entry(NamedTuple):
    """A named part of the package.

    Attributes:
        target: its code, as "module:object".
        summary: one line of help.
    """

    target: str
    summary: str

    def load(self) -> Any:
        """Import and return the object that the entry refers to."""
        return pkgutil.resolve_name(self.target)


COMMANDS = {
    "train": Entry(
        "recns_tf.commands.train:COMMAND", "train and test a model; results go to runs/NAME/"
    ),
    "prepare": Entry("recns_tf.commands.prepare:COMMAND", "make a dataset from your own log"),
    "describe": Entry(
        "recns_tf.commands.describe:COMMAND", "describe a dataset with statistics and a plot"
    ),
    "regions": Entry(
        "recns_tf.commands.regions:COMMAND", "build the three regions and measure their coverage"
    ),
    "export": Entry(
        "recns_tf.commands.export:COMMAND", "write a dataset to files for other programs"
    ),
    "recommend": Entry(
        "recns_tf.commands.recommend:COMMAND", "write the items that a run recommends to users"
    ),
    "similar": Entry("recns_tf.commands.similar:COMMAND", "list similar items or users of a run"),
    "index": Entry("recns_tf.commands.index:COMMAND", "write the items of a run as a Faiss index"),
    "export-model": Entry(
        "recns_tf.commands.export_model:COMMAND",
        "write a run as a SavedModel for TensorFlow Serving",
    ),
    "serve": Entry(
        "recns_tf.commands.serve:COMMAND", "answer requests for recommendations over HTTP"
    ),
    "baseline": Entry(
        "recns_tf.commands.baseline:COMMAND", "fit a closed-form baseline: popular, itemknn, ease"
    ),
    "compare": Entry(
        "recns_tf.commands.compare:COMMAND", "evaluate embeddings from any program by exact ranking"
    ),
    "summary": Entry(
        "recns_tf.commands.summary:COMMAND", "mean and standard deviation over finished runs"
    ),
    "report": Entry(
        "recns_tf.commands.report:COMMAND", "write a page with curves and tables of runs"
    ),
    "reproduce": Entry(
        "recns_tf.commands.reproduce:COMMAND",
        "reproduce the paper's tables and figures: table2 … fig9, all",
    ),
    "ablate": Entry(
        "recns_tf.commands.ablate:COMMAND",
        "measure the effect of each choice in the paper and the authors' code",
    ),
    "launch": Entry("recns_tf.commands.launch:COMMAND", "train with several worker processes"),
    "verify": Entry(
        "recns_tf.commands.verify:COMMAND", "check this program against results of others"
    ),
    "bench": Entry("benchmarks.bench:COMMAND", "measure speed as ratios (checkout only)"),
    "test": Entry("recns_tf.commands.test:COMMAND", "run the tests (checkout only)"),
}

BENCHMARKS = "benchmarks"
"""The top-level package of `bench`, which only a checkout has."""

DATASETS = {
    "zhihu": Entry(
        "recns_tf.datasets.zhihu:load", "the paper's Zhihu data, downloaded on first use"
    ),
    "alibaba": Entry(
        "recns_tf.datasets.alibaba:load",
        "the paper's Alibaba data, not public; supply your own copy",
    ),
    "ml-100k": Entry(
        "recns_tf.datasets.ml_100k:load",
        "MovieLens 100k: ratings of 4 and 5 are positives, 1 to 3 exposures",
    ),
    "kuairand-pure": Entry(
        "recns_tf.datasets.kuairand_pure:load", "videos shown on Kuaishou, watched long or not"
    ),
    "mind": Entry("recns_tf.datasets.mind:load", "news shown by Microsoft, clicked or not"),
    "taobao": Entry("recns_tf.datasets.taobao:load", "ads shown on Taobao, clicked or not"),
    "ccir-zhihu": Entry("recns_tf.datasets.ccir_zhihu:load", "the log from which Zhihu was made"),
    "gowalla": Entry(
        "recns_tf.datasets.lightgcn_benchmarks:load",
        "check-ins, without exposures, downloaded on first use",
    ),
    "yelp2018": Entry("recns_tf.datasets.lightgcn_benchmarks:load", "visits, without exposures"),
    "amazon-book": Entry("recns_tf.datasets.lightgcn_benchmarks:load", "books, without exposures"),
    "dens-toy": Entry(
        "recns_tf.datasets.lightgcn_benchmarks:load",
        "toys, split by time, without exposures, downloaded on first use",
    ),
    "synthetic-small": Entry(
        "recns_tf.datasets.synthetic.generate:load",
        "synthetic: 1,000 users, 2,000 items, 40 thousand clicks; no download",
    ),
    "synthetic-zhihu": Entry(
        "recns_tf.datasets.synthetic.generate:load",
        "synthetic with the size and degrees of Zhihu: 3.3 million clicks",
    ),
    "synthetic-alibaba": Entry(
        "recns_tf.datasets.synthetic.generate:load",
        "synthetic with the size of the paper's Alibaba: 7.1 million clicks",
    ),
    "synthetic": Entry(
        "recns_tf.datasets.synthetic.generate:load",
        "synthetic of any size: --synthetic_users=…, _items, _clicks, _exposures",
    ),
}

ENCODERS = {
    "lightgcn": Entry("recns_tf.encoders.lightgcn:LightGCN", "LightGCN, He et al. 2020"),
    "ngcf": Entry("recns_tf.encoders.ngcf:NGCF", "NGCF, Wang et al. 2019"),
    "pinsage": Entry("recns_tf.encoders.pinsage:PinSage", "PinSage, Ying et al. 2018"),
    "mf": Entry("recns_tf.encoders.mf:MF", "matrix factorization, without propagation"),
}

SAMPLERS = {
    "recns": Entry("recns_tf.samplers.recns:RecNS", "RecNS-O and RecNS-W combined (eq. 10, 11)"),
    "recns-o": Entry(
        "recns_tf.samplers.recns_o:PositiveAssisted",
        "RecNS without exposure: positive-assisted sampling (eq. 7)",
    ),
    "recns-w": Entry(
        "recns_tf.samplers.recns_w:ExposureAugmented",
        "the exposure part of RecNS alone (eq. 8, 9)",
    ),
    "unins": Entry("recns_tf.samplers.unins:UniNS", "uniform over unobserved items"),
    "popns": Entry("recns_tf.samplers.popns:PopNS", "proportional to a power of popularity"),
    "dns": Entry("recns_tf.samplers.dns:DNS", "the highest-scoring of M uniform items"),
    "simns": Entry("recns_tf.samplers.simns:SimNS", "popular items similar to the positive"),
    "advns": Entry("recns_tf.samplers.advns:AdvNS", "drawn by an adversarial generator"),
    "mcns": Entry("recns_tf.samplers.mcns:MCNS", "drawn by one Markov chain per user"),
    "srns": Entry(
        "recns_tf.samplers.srns:SRNS", "high-variance scores, from a memory of candidates"
    ),
    "expns": Entry("recns_tf.samplers.expns:ExpNS", "exposed items only"),
    "mixedns": Entry("recns_tf.samplers.mixedns:MixedNS", "a mixture of exposed and other items"),
    "rns-as": Entry("recns_tf.samplers.rns_as:RNSAS", "drawn by a generator trained on exposures"),
    "dns-mn": Entry("recns_tf.samplers.dns_mn:DNSMN", "one of the M highest-scoring of N items"),
    "ahns": Entry("recns_tf.samplers.ahns:AHNS", "easier, the better the positive fits"),
    "bns": Entry("recns_tf.samplers.bns:BNS", "hard, but probably no false negatives"),
    "inbatch": Entry(
        "recns_tf.samplers.inbatch:InBatch", "the positives of the other pairs of the batch"
    ),
    "ppr-hard": Entry(
        "recns_tf.samplers.ppr_hard:PPRHard", "ever more items related to the positive (PinSage)"
    ),
    "mixgcf": Entry(
        "recns_tf.samplers.mixgcf:MixGCF", "a hard item per layer, mixed with the positive"
    ),
    "dens": Entry(
        "recns_tf.samplers.dens:DENS", "an item per layer, hard by its disentangled part"
    ),
}

LOSSES = {
    "pairwise_hinge": Entry("recns_tf.losses:pairwise_hinge", "hinge of the sigmoids of each pair"),
    "augmented_hinge": Entry("recns_tf.losses:augmented_hinge", "eq. (5) exactly as printed"),
    "plain_hinge": Entry(
        "recns_tf.losses:plain_hinge", "hinge of Algorithm 3, without the sigmoid"
    ),
    "bpr": Entry("recns_tf.losses:bpr", "Bayesian personalized ranking"),
    "softmax": Entry(
        "recns_tf.losses:softmax", "sampled softmax, the positive among the negatives"
    ),
    "kpair": Entry("recns_tf.losses:kpair", "log(1 + sum of exp of the score differences)"),
    "bsl": Entry("recns_tf.losses:bsl", "bilateral softmax, Wu et al. 2024"),
    "ccl": Entry("recns_tf.losses:ccl", "cosine contrastive loss of SimpleX; for --scores=cosine"),
}

BASELINE_MODELS = {
    "popular": Entry("recns_tf.baselines.popular:fits", "the most popular items for every user"),
    "itemknn": Entry("recns_tf.baselines.item_knn:fits", "ItemKNN, Deshpande & Karypis 2004"),
    "ease": Entry("recns_tf.baselines.ease:fits", "EASE, Steck 2019; for small catalogs"),
}

PAPER_EXPERIMENTS = (
    "table2", "table3", "table4", "table5", "fig4", "fig5", "fig6", "fig7", "fig8", "fig9",
)  # fmt: skip
"""The tables and figures of the paper, defined in experiments/grids.py."""

EXPERIMENTS = (*PAPER_EXPERIMENTS, "loss", "exposures", "control", "density")
"""All experiments; those that the paper does not have are in experiments/principle_grids.py."""

ALL_EXPERIMENTS = "all"
"""Stands for the tables and figures of the paper."""

OWN = ":"
"""The character that distinguishes a user-defined part, module:object, from a name."""

BASES = {
    "encoder": "recns_tf.encoders.base:Encoder",
    "sampler": "recns_tf.samplers.base:Sampler",
}
"""The class that a user-defined part must extend, by kind."""

TRIALS = {"loss": "recns_tf.losses:fault", "baseline": "recns_tf.baselines.base:fault"}
"""A function that calls a user-defined part on small data, by kind.

It returns why the part cannot be used, or "" if it can.
"""

REGIONS = ("intermediate", "distant", "random", "all")
REGION_DEFINITIONS = ("walk", "shell")
LAYOUTS = ("pinsage", "lightgcn")
SPLITS = ("auto", "random", "temporal", "leave-one-out", "global-temporal")
POSITIVE_LABELS = ("long_view", "is_click")
HISTORIES = ("train", "none")
LAYER_WEIGHTS = ("mean", "learned")
RANKING_NEIGHBORS = ("all", "drawn")
BASELINES = ("mean", "others")
ADJACENCIES = ("symmetric", "row")
NGCF_FORMS = ("paper", "code")
INITIALIZERS = ("glorot", "joint_glorot", "normal", "tiny_normal")
NEIGHBOR_DRAWS = ("own", "shared")
L2_SCOPES = ("own", "all", "final")
MCNS_KERNELS = ("exact", "released")
INBATCH_HITS = ("mask", "keep")
SCORES = ("inner", "cosine")
PAIR_SAMPLINGS = ("edges", "filled", "users")
VALIDATION_PARTS = ("valid", "test")
KEPT_EPOCHS = ("best", "last")
DRAW_LAWS = ("proportional", "softmax", "user_softmax", "hardest")
MERGES = ("flat", "nested")
SPARSE_ENGINES = ("csr", "coo")
KERNELS = ("auto", "numba", "tensorflow")
OVER_WORKERS = ("columns", "batch")
"""The values of --strategy that divide training among several processes."""
STRATEGIES = ("none", "mirrored", *OVER_WORKERS)
INITIAL_OPTIMIZERS = ("new", "kept")
RANKERS = ("faiss", "tensorflow")

USER_METRICS = {
    "recall": "Recall",
    "ndcg": "NDCG",
    "hr": "HR",
    "precision": "Precision",
    "mrr": "MRR",
    "map": "MAP",
}
"""Display names of the metrics that each user's list has, by the part of their keys before @K."""

LIST_METRICS = {"coverage": "Coverage", "gini": "Gini", "popularity": "Popularity"}
"""Display names of the metrics that all lists of a part have together."""

SHOWN_METRICS = {"shown_auc": "AUC shown", "shown_ndcg": "NDCG shown"}
"""Display names of the metrics within the items that a user was shown, by their keys."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the known name closest to `name`, or "" if none is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean '{close[0]}'?" if close else ""


def find(entries: Mapping[str, Entry], kind: str, name: str) -> Entry:
    """Return the entry called `name`, or a user-defined part given as module:object.

    A user-defined part is imported, and checked to be of its kind.

    Args:
        entries: the registered parts.
        kind: what they are: encoder, sampler, loss or baseline.
        name: the name, or module:object.

    Raises:
        UserError: there is none, and the message lists the available names; or the user-defined
            part cannot be imported, or is not of its kind.
    """
    if name in entries:
        return entries[name]
    if OWN not in name:
        raise UserError(
            f"unknown {kind} '{name}': choose one of {', '.join(entries)}."
            f"{suggestion(name, entries)}"
        )
    own = Entry(name, "user-defined")
    try:
        part = own.load()
    except (Exception, SystemExit) as error:
        raise UserError(f"the {kind} {name} cannot be loaded: {first_line(error)}.") from error
    if kind in BASES:
        fault = fault_of_class(part, pkgutil.resolve_name(BASES[kind]))
    else:
        fault = pkgutil.resolve_name(TRIALS[kind])(part)
    if fault:
        raise UserError(f"the {kind} {name} cannot be used: {fault}.")
    return own


def fault_of_class(part: Any, base: type) -> str:
    """Return why a part is not a complete subclass of `base`, or "" if it is one."""
    if not (isinstance(part, type) and issubclass(part, base)):
        return f"it is not a subclass of {base.__module__}.{base.__name__}"
    # Keras classes have a metaclass that does not enforce abstract methods.
    missing = [
        name
        for name in dir(part)
        if getattr(getattr(part, name, None), "__isabstractmethod__", False)
    ]
    return f"it does not define {', '.join(missing)}" if missing else ""


PREPARED = "prepared.json"
"""The file that marks a folder as a dataset made by `prepare`."""


def prepared_names(data_dir: str | Path) -> list[str]:
    """Return the names of the datasets that `prepare` made in a folder."""
    folders.restore_all(Path(data_dir))
    return sorted(path.parent.name for path in Path(data_dir).glob(f"[!.]*/{PREPARED}"))


def table(entries: Mapping[str, Entry]) -> list[str]:
    """Return one indented line per name."""
    return [f"  {name:<17} {entry.summary}" for name, entry in entries.items()]


def describe() -> str:
    """Return all registered parts by kind, one indented line per name."""
    parts = {
        "Datasets": DATASETS,
        "Encoders": ENCODERS,
        "Samplers": SAMPLERS,
        "Losses": LOSSES,
        "Baselines": BASELINE_MODELS,
    }
    lines = []
    for title, entries in parts.items():
        lines += [f"{title}:", *table(entries)]
    return "\n".join(lines)
