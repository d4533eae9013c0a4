"""All settings that a result depends on, and their flags.

`Config` is saved as config.json next to a result. `Workspace` only says where files are kept.
Flags spell out the paper's symbols; the original repository's flag names are aliases.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from recns_tf import registry
from recns_tf.config import flagfiles
from recns_tf.config.devices import DeviceSettings
from recns_tf.config.encoder import EncoderSettings
from recns_tf.config.flags import (
    A_DURATION,
    A_FOLDER,
    A_FOLDER_NAME,
    A_NUMBER,
    A_RATE,
    A_SEED,
    A_SIZE,
    A_WAIT,
    K_VALUES,
    NOT_NEGATIVE,
    POSITIVE,
    Checked,
    between,
    from_flags,
    one_of,
    one_of_or_custom,
    option,
    whole,
)
from recns_tf.config.initialization import InitialSettings
from recns_tf.config.sampler import SamplerSettings
from recns_tf.errors import UserError


def parse_topk(topk: str) -> list[int]:
    """Return the K of --topk, ascending, without duplicates."""
    return sorted({int(k) for k in topk.split(",")})


def selection_metric(topk: str, select_by: str) -> str:
    """Return the name of the validation metric that --topk and --select_by choose.

    Raises:
        UserError: `select_by` is neither "auto" nor a metric at one of the K.

    Example:
        >>> selection_metric("5,20", "auto")
        'recall@20'
    """
    ks = parse_topk(topk)
    if select_by == "auto":
        return f"recall@{ks[-1]}"
    legal = [f"{metric}@{k}" for metric in registry.USER_METRICS for k in ks]
    if select_by not in legal:
        raise UserError(f"--select_by={select_by}: choose one of auto, {', '.join(legal)}.")
    return select_by


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(EncoderSettings, SamplerSettings, InitialSettings, DeviceSettings, Checked):
    """The settings of a run.

    Defaults are the paper's (§5.1) unless the help text says otherwise.
    """

    dataset: str = option("ml-100k", "name of the dataset", A_FOLDER_NAME)
    split: str = option(
        "auto",
        "how positives are split; random; temporal: each user's last ones are held out; "
        "leave-one-out: each user's last one is tested, the one before validates; global-temporal: "
        "those after a time, the same for all users, are held out; auto: as a prepared log was "
        "made, else random",
        one_of(*registry.SPLITS),
    )
    split_seed: int = option(
        0, "seed of a random train / valid / test split, or of leave-one-out without times", A_SEED
    )
    valid_share: float = option(
        0.1,
        "share of train moved to validation if the data has no validation part; 0 for none",
        A_RATE,
    )
    train_share: float = option(
        1.0,
        "share of each user's train positives that is trained on, to study sparser data; the "
        "others count as unobserved",
        between(0.001, 1),
    )
    test_exposed_share: float = option(
        0.0,
        "share of each user's exposed items that is held out of training, for AUC and NDCG of the "
        "test positives within the items that a user was shown; 0 for none",
        A_RATE,
    )
    layout: str = option(
        "pinsage", "zhihu, alibaba: the authors' file format", one_of(*registry.LAYOUTS)
    )
    positive_label: str = option(
        "long_view",
        "kuairand-pure: the label that makes a pair positive",
        one_of(*registry.POSITIVE_LABELS),
    )
    history: str = option(
        "train",
        "mind: train makes the news in a user's history train positives; none ignores them",
        one_of(*registry.HISTORIES),
    )
    synthetic_users: int = option(1_000, "number of users of the synthetic dataset", A_SIZE)
    synthetic_items: int = option(2_000, "number of items of the synthetic dataset", A_SIZE)
    synthetic_clicks: int = option(40_000, "number of positives of the synthetic dataset", A_SIZE)
    synthetic_exposures: int = option(
        46_000,
        "number of exposed pairs of the synthetic dataset, without its positives",
        A_NUMBER,
    )
    synthetic_seed: int = option(
        0, "seed of the synthetic datasets, synthetic and synthetic-…", A_SEED
    )
    loss: str = option(
        "pairwise_hinge",
        "loss function; pairwise_hinge is the authors' code, augmented_hinge the paper's eq. (5)",
        one_of_or_custom(*registry.LOSSES),
    )
    margin: float = option(0.1, "gamma, margin of the hinge losses and of ccl", POSITIVE)
    temperature: float = option(
        1.0,
        "softmax, bsl: tau, temperature of the scores; about 0.1 suits --scores=cosine",
        between(0.001, 1e9),
    )
    temperature_2: float = option(
        1.0, "bsl: weight of the negatives, 1.06 to 1.32 in most settings of its code", POSITIVE
    )
    ccl_weight: float = option(
        0.0,
        "ccl: weight of the negatives' mean; 0 for k, which makes it their sum, as by default in "
        "its code",
        NOT_NEGATIVE,
    )
    scores: str = option(
        "inner",
        "what the loss sees; inner: inner products; cosine: cosines of the same embeddings. "
        "Negatives are chosen, and items ranked, by inner products",
        one_of(*registry.SCORES),
    )
    l2: float = option(1e-4, "coefficient of the L2 penalty", NOT_NEGATIVE)
    l2_scope: str = option(
        "own",
        "weights that the L2 penalty covers; own: those each encoder chooses (the batch's rows; "
        "for pinsage, its kernels); all: half the sum of all squared weights; final: the final "
        "embeddings of the batch",
        one_of(*registry.L2_SCOPES),
    )
    learning_rate: float = option(1e-3, "Adam's step size", POSITIVE, alias="lr")
    adam_epsilon: float = option(1e-8, "Adam's epsilon; TensorFlow 1's default", POSITIVE)
    batch_size: int = option(
        8192, "B, positive pairs per step; default as in the authors' code", whole(1, 10**8)
    )
    gradient_clip: float = option(
        0.0,
        "clip each gradient element to this absolute value, 5 in the authors' PinSage; 0 for none",
        NOT_NEGATIVE,
    )
    pair_sampling: str = option(
        "edges",
        "S_p, the positive sampler; edges: all train pairs in random order; filled: the same, with "
        "a full last batch (the authors' PinSage); users: one item for each of B random users "
        "(their LightGCN)",
        one_of(*registry.PAIR_SAMPLINGS),
    )
    stale_scores: bool = option(
        False, "choose negatives with the previous step's encoder, as the authors' code does"
    )
    epochs: int = option(1000, "maximum number of epochs", A_DURATION, alias="epoch")
    eval_every: int = option(1, "epochs between validations", A_DURATION)
    eval_first: int = option(0, "epoch of the first validation; 0 for --eval_every", A_WAIT)
    patience: int = option(
        10, "validations without a better --select_by metric before training stops", A_DURATION
    )
    keep: str = option(
        "best",
        "epoch whose weights are kept and tested; best: by --select_by on validation; last: the "
        "one that training ends with",
        one_of(*registry.KEPT_EPOCHS),
    )
    topk: str = option("20", "K of the metrics, one or more, such as 5,10,20", K_VALUES)
    select_by: str = option(
        "auto",
        "the validation metric that chooses epochs, settings and hyperparameters, such as ndcg@10; "
        f"one of {', '.join(registry.USER_METRICS)}, at a K of --topk; auto is recall at the "
        "largest K",
    )
    validate_on: str = option(
        "valid",
        "part of the data used for early stopping; test reproduces a fault of the authors' "
        "LightGCN: its test metrics are those of the epoch that is best on the test set",
        one_of(*registry.VALIDATION_PARTS),
    )
    ranking_depth: int = option(
        0,
        "items retrieved per user before seen ones are dropped, 500 in the authors' LightGCN and "
        "200 in their PinSage; 0 for enough to fill every list",
        A_NUMBER,
    )
    ranker: str = option(
        "faiss",
        "ranking engine; both are exact and differ only in the order of equal scores",
        one_of(*registry.RANKERS),
    )
    seed: int = option(0, "seed of the initial weights and of all random draws", A_SEED)

    def __post_init__(self) -> None:
        super().__post_init__()
        selection_metric(self.topk, self.select_by)
        if self.eval_first > self.epochs:
            raise UserError(
                f"--eval_first={self.eval_first}: choose at most {self.epochs}, --epochs."
            )

    def is_due(self, epoch: int) -> bool:
        """Return whether --eval_first and --eval_every ask for a validation after an epoch.

        Args:
            epoch: its number, counted from 1.

        Example:
            >>> config = Config(eval_first=1, eval_every=10)
            >>> [epoch for epoch in range(1, 30) if config.is_due(epoch)]
            [1, 11, 21]
        """
        after_first = epoch - (self.eval_first or self.eval_every)
        return after_first >= 0 and after_first % self.eval_every == 0

    def is_validated(self, epoch: int) -> bool:
        """Return whether an epoch, counted from 1, ends with a validation, as the last one does."""
        return epoch == self.epochs or self.is_due(epoch)

    @property
    def ks(self) -> list[int]:
        """The K of the metrics, ascending, without duplicates."""
        return parse_topk(self.topk)

    @property
    def selection_metric(self) -> str:
        """The validation metric that chooses epochs and settings, such as "recall@20"."""
        return selection_metric(self.topk, self.select_by)

    @classmethod
    def for_run(
        cls, dataset: str, encoder: str, files: Sequence[Path] = (), **settings: Any
    ) -> Self:
        """Return the settings of a run: those of its flagfiles, overridden by `settings`.

        The command line, `reproduce` and `ablate` also resolve their defaults here.

        Args:
            dataset: name of the dataset.
            encoder: name of the encoder.
            files: further flagfiles; they override those of the dataset and the encoder.
            settings: values of fields; they override all files.

        Raises:
            UserError: a flagfile is missing or names an unknown flag, or a value is illegal.

        Example:
            >>> Config.for_run("ml-100k", "pinsage", khop=5).dim
            256
        """
        files = [*flagfiles.find(dataset, encoder), *files]
        return cls.from_flagfiles(dataset, encoder, files, **settings)

    @classmethod
    def from_flagfiles(
        cls, dataset: str, encoder: str, files: Sequence[Path], **settings: Any
    ) -> Self:
        """Return the settings given by these flagfiles only; otherwise the same as `for_run`."""
        values = flagfiles.parse(files, Config, Workspace)
        config = from_flags(cls, values=values, dataset=dataset, encoder=encoder)
        return dataclasses.replace(config, **settings)

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> Self:
        """Return the settings in a config.json written by this version or an earlier one.

        Raises:
            TypeError: a setting is unknown, or its value has another type than its default.
        """
        known = complete({k: v for k, v in settings.items() if k not in RECORDED})
        for name, value in known.items():
            kind = type(DEFAULTS.get(name))
            legal = (int, float) if kind is float else kind
            if name in DEFAULTS and (
                not isinstance(value, legal) or isinstance(value, bool) != (kind is bool)
            ):
                raise TypeError(f"'{name}' has the wrong type")
        return cls(**known)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as written to config.json."""
        return dataclasses.asdict(self)

    def differences(self, base: Config) -> dict[str, Any]:
        """Return the settings that differ from those of `base`, in the order of the fields."""
        mine, its = self.to_json(), base.to_json()
        return {name: value for name, value in mine.items() if value != its[name]}


RECORDED = ("data_checksum", "init_checksum", "replicas")
"""What config.json holds beside the settings; see training/train.py."""

FIELDS = {field.name: field for field in dataclasses.fields(Config)}
"""The fields of Config by name."""

DEFAULTS = {name: field.default for name, field in FIELDS.items()}
"""The value of a setting in runs made before the setting existed, except for those in BEFORE."""

RENAMED = {"region_reading": "region_definition"}
"""Old names of settings in files of earlier versions."""

BEFORE = {"mind": {"history": "none"}}
"""By dataset, what earlier versions did instead of the default of a setting they did not have."""


def complete(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's settings under their current names, with those that its version did not have.

    These take the values that give what that version did: those in BEFORE, or the defaults.
    """
    known = {RENAMED.get(name, name): value for name, value in settings.items()}
    return DEFAULTS | BEFORE.get(known.get("dataset", ""), {}) | known


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workspace(Checked):
    """Where a run reads and writes files; results do not depend on it."""

    data_dir: str = option("data", "folder of the datasets", A_FOLDER)
    runs_dir: str = option("runs", "folder of the runs", A_FOLDER)
    run_name: str = option(
        "",
        "name of the run; DATASET-ENCODER-SAMPLER (with -seedN unless the seed is 0) if empty",
        A_FOLDER_NAME,
    )
    overwrite: bool = option(False, "delete an existing run of the same name first")

    def run_folder(self, config: Config) -> Path:
        """Return the folder of the run that `config` describes."""
        name = f"{config.dataset}-{config.encoder}-{config.sampler}".replace(registry.OWN, ".")
        if config.seed:
            name += f"-seed{config.seed}"
        return Path(self.runs_dir) / (self.run_name or name)
