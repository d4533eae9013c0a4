"""Everything a result depends on, and the flags it is given by.

`Config` is what config.json beside a result holds; `Workspace` says only where things are kept.
The absl flags are defined from such classes in `define_flags`, and no other module reads them.
Flags are the paper's symbols in words; the original repository's spellings are aliases.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from recns_tf import catalog, laws
from recns_tf.errors import UserError


class Rule(NamedTuple):
    """Which values of a flag are legal.

    Attributes:
        legal: the legal values in words, as in "choose …".
        holds: tells whether a value is one of them.
    """

    legal: str
    holds: Callable[[Any], bool]


def at_least(low: float) -> Rule:
    """Return the rule of finite numbers of at least `low`."""
    return Rule(f"a number of at least {low}", lambda value: low <= value < math.inf)


def above(low: float) -> Rule:
    """Return the rule of finite numbers greater than `low`."""
    return Rule(f"a number above {low}", lambda value: low < value < math.inf)


def one_of(*names: str) -> Rule:
    """Return the rule of one of `names`."""
    return Rule(f"one of {', '.join(names)}", lambda value: value in names)


def is_law(text: str) -> bool:
    """Return whether `text` names a law of real numbers."""
    try:
        laws.parse(text)
    except UserError:
        return False
    return True


A_LAW = Rule("uniform(a,b) with a < b, normal(mean,variance) or a number", is_law)
ODD_FROM_3 = Rule("an odd number of steps, 3, 5, 7, …", lambda value: value >= 3 and value % 2 == 1)
A_RATE = Rule("a share from 0 to less than 1", lambda value: 0 <= value < 1)
NUMBERS = Rule(
    "numbers from 1 on, such as 25,10",
    lambda text: bool(re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", text)),
)
A_FOLDER_NAME = Rule(
    "the name of one folder, without /", lambda value: "/" not in value and value not in (".", "..")
)
NOT_EMPTY = Rule("a folder", bool)
A_SEED = Rule("a number from 0 to 2147483647", lambda value: 0 <= value < 2**31)
A_SIZE = Rule("a number from 1 to 2147483647", lambda value: 1 <= value < 2**31)


def option(default: Any, text: str, rule: Rule | None = None, alias: str | None = None) -> Any:
    """Return a dataclass field that also describes a flag.

    Args:
        default: the default, whose type is the flag's.
        text: help text.
        rule: which values are legal; all of the default's type, if None.
        alias: the original repository's spelling of the flag.
    """
    return dataclasses.field(default=default, metadata={"text": text, "rule": rule, "alias": alias})


Settings = typing.TypeVar("Settings", bound="Checked")


class Checked:
    """A dataclass whose fields are checked when it is made.

    Raises:
        UserError: a value is not legal; the sentence names the flag and what is.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(typing.cast(Any, self)):
            rule, value = field.metadata["rule"], getattr(self, field.name)
            if rule and not rule.holds(value):
                raise UserError(f"--{field.name}={value}: choose {rule.legal}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Checked):
    """The settings of a run. Defaults are the paper's (§5.1) except where the help says more."""

    dataset: str = option("ml-100k", "which interactions", A_FOLDER_NAME)
    split: str = option(
        "auto",
        "of each user's positives: random, or temporal, the last held out; auto is random, but "
        "for a prepared log what it was prepared with",
        one_of(*catalog.SPLITS),
    )
    split_seed: int = option(0, "seed of a random train / valid / test split", A_SEED)
    valid_share: float = option(
        0.1,
        "share of train that becomes validation where the files have no such part; 0 for none",
        A_RATE,
    )
    layout: str = option(
        "pinsage", "zhihu, alibaba: which of the authors' formats", one_of(*catalog.LAYOUTS)
    )
    positive_label: str = option(
        "long_view", "kuairand-pure: what a positive is", one_of(*catalog.POSITIVE_LABELS)
    )
    synthetic_users: int = option(1_000, "users of the dataset synthetic", A_SIZE)
    synthetic_items: int = option(2_000, "items of the dataset synthetic", A_SIZE)
    synthetic_clicks: int = option(40_000, "positives of the dataset synthetic", A_SIZE)
    synthetic_exposures: int = option(
        46_000, "exposed pairs of the dataset synthetic, besides its positives", at_least(0)
    )
    synthetic_seed: int = option(
        0, "seed of the dataset synthetic and of those called synthetic-…", A_SEED
    )
    encoder: str = option("lightgcn", "E_theta, the graph encoder", one_of(*catalog.ENCODERS))
    dim: int = option(64, "d, embedding dimension", at_least(1), alias="embed_size")
    num_layers: int = option(3, "L, propagation layers", at_least(1))
    layer_weights: str = option(
        "mean",
        "lightgcn: of the layers in the final embedding; mean is 1 / (L + 1) each",
        one_of(*catalog.LAYER_WEIGHTS),
    )
    message_dropout: float = option(
        0.1, "ngcf: share of the numbers in a layer's output set to 0 in training", A_RATE
    )
    node_dropout: float = option(
        0.0, "ngcf: share of the nodes that send nothing to others in training", A_RATE
    )
    num_neighbors: str = option(
        "25,10",
        "pinsage: neighbours drawn for the first layer, the second, …; the last number stands "
        "for all further layers",
        NUMBERS,
    )
    feature_dim: int = option(50, "pinsage: columns of a node's own features", at_least(1))
    ranking_neighbors: str = option(
        "all",
        "pinsage: which neighbours make the embeddings to rank with; drawn: the same at every "
        "check",
        one_of(*catalog.RANKING_NEIGHBORS),
    )
    table_steps: int = option(
        0,
        "pinsage: steps between two encodings of all nodes for samplers that score many items; 0 "
        "for one at the start of each epoch",
        at_least(0),
    )
    sparse_engine: str = option(
        "csr",
        "kernels of the propagation: csr (CPU), or coo, slower, where csr has none",
        one_of(*catalog.SPARSE_ENGINES),
    )
    sampler: str = option(
        "recns", "S_n, the negative sampler", one_of(*catalog.SAMPLERS), alias="strategy"
    )
    num_negatives: int = option(15, "k, negatives a positive pair", at_least(1), alias="K_negs")
    num_candidates: int = option(
        20, "M, candidates a pair (RecNS) or a negative (DNS)", at_least(1), alias="K_Candidates"
    )
    alpha: str = option(
        "uniform(0,1)",
        "law of the assistance coefficient, drawn for every pair and candidate",
        A_LAW,
    )
    region: str = option(
        "auto",
        "where negatives come from; all are the unobserved items, auto is intermediate for RecNS "
        "and its parts and all for the other samplers",
        one_of("auto", *catalog.REGIONS),
    )
    khop: int = option(
        3, "steps of the walk that bounds the intermediate region", ODD_FROM_3, alias="khops"
    )
    region_reading: str = option(
        "walk",
        "walk: all a walk of khop steps reaches; shell: only what none shorter does",
        one_of(*catalog.REGION_READINGS),
    )
    region_memory: float = option(
        2.0,
        "gigabytes that the exact region of all users may take; beyond, candidates are drawn from "
        "pools",
        Rule("a number from 0 to 1000000", lambda value: 0 <= value <= 1e6),
    )
    pool_size: int = option(512, "P, items of a user's region in a pool", A_SIZE)
    pool_epochs: int = option(1, "epochs before pools are drawn afresh; 0 for never", at_least(0))
    loss: str = option(
        "pairwise_hinge",
        "augmented_hinge is the paper's eq. (5); the default is the authors' code's",
        one_of(*catalog.LOSSES),
    )
    margin: float = option(0.1, "gamma, margin of the hinge losses", above(0))
    l2: float = option(1e-4, "coefficient of the L2 penalty", at_least(0))
    learning_rate: float = option(1e-3, "Adam's step size", above(0), alias="lr")
    adam_epsilon: float = option(1e-8, "Adam's epsilon; TensorFlow 1's default", above(0))
    batch_size: int = option(8192, "B, positive pairs a step; the authors' code's", at_least(1))
    epochs: int = option(1000, "epochs at most", at_least(1), alias="epoch")
    eval_every: int = option(1, "epochs between checks on the validation set", at_least(1))
    patience: int = option(
        10, "checks without a rise of validation Recall@20 before stopping", at_least(1)
    )
    seed: int = option(0, "seed of initial weights and of every draw", A_SEED)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as they stand in config.json."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workspace(Checked):
    """Where a run reads and writes; no result depends on it."""

    data_dir: str = option("data", "folder of the datasets", NOT_EMPTY)
    runs_dir: str = option("runs", "folder of the runs", NOT_EMPTY)
    run_name: str = option(
        "",
        "name of the run; DATASET-ENCODER-SAMPLER, and -seedN from seed 1 on, if empty",
        A_FOLDER_NAME,
    )
    overwrite: bool = option(False, "delete an earlier run of that name first")

    def run_folder(self, config: Config) -> Path:
        """Return the folder of the run that `config` describes."""
        name = f"{config.dataset}-{config.encoder}-{config.sampler}"
        if config.seed:
            name += f"-seed{config.seed}"
        return Path(self.runs_dir) / (self.run_name or name)


POSITIONAL = ("dataset", "encoder", "name")
CASELESS = ("sampler", "loss")
DEFINERS = {
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
    bool: flags.DEFINE_bool,
}


def flag_fields(cls: type) -> list[dataclasses.Field[Any]]:
    """Return the fields of a class of settings that are flags."""
    return [field for field in dataclasses.fields(cls) if field.name not in POSITIONAL]


def define_flags(*classes: type) -> None:
    """Define one absl flag, and its alias, for every field that is not positional."""
    for cls in classes:
        for field in flag_fields(cls):
            text, rule, alias = (field.metadata[key] for key in ("text", "rule", "alias"))
            help_text = f"{text}; {rule.legal}" if rule else text
            DEFINERS[type(field.default)](field.name, field.default, help_text)
            if alias:
                flags.DEFINE_alias(alias, field.name)


def from_flags(cls: type[Settings], **positional: str) -> Settings:
    """Return the settings that the parsed flags and the positional words make.

    Raises:
        UserError: a value is not legal.
    """
    values = {field.name: flags.FLAGS[field.name].value for field in flag_fields(cls)}
    values |= {name: values[name].lower() for name in CASELESS if name in values}
    return cls(**positional, **values)


def expand(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Replace each --config=FILE of a command line by the settings of that file.

    FILE is the config.json of a run. Its flags stand where --config stood, so that what comes
    later wins. A flag that the run's version did not know yet stands at its default.

    Returns:
        The command line, and the dataset and encoder of the last FILE, [] if there is none.

    Raises:
        UserError: the file is not a run's config.json.
    """
    expanded: list[str] = []
    positional: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        name, equals, path = argument.partition("=")
        if name not in ("--config", "-config"):
            expanded.append(argument)
            continue
        path = path if equals else next(remaining, "")
        if not path:
            raise UserError("--config needs a file: --config=runs/NAME/config.json.")
        try:
            settings = json.loads(Path(path).read_text(encoding="utf-8"))
            positional = [settings["dataset"], settings["encoder"]]
            expanded += [
                f"--{field.name}={settings.get(field.name, field.default)}"
                for field in flag_fields(Config)
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"--config={path} is not a run's config.json ({error}).") from error
    return expanded, positional
