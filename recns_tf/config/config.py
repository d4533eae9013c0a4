"""Everything a result depends on, and the flags it is given by.

`Config` is what config.json beside a result holds; `Workspace` says only where things are kept.
Flags are the paper's symbols in words; the original repository's spellings are aliases.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from recns_tf import registry
from recns_tf.config import flagfiles
from recns_tf.config.encoder import EncoderSettings
from recns_tf.config.flags import (
    A_FOLDER_NAME,
    A_RATE,
    A_SEED,
    A_SIZE,
    NOT_EMPTY,
    Checked,
    above,
    at_least,
    explicit_flags,
    flag_fields,
    from_flags,
    one_of,
    one_of_or_own,
    option,
)
from recns_tf.config.sampler import SamplerSettings
from recns_tf.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(EncoderSettings, SamplerSettings, Checked):
    """The settings of a run. Defaults are the paper's (§5.1) except where the help says more."""

    dataset: str = option("ml-100k", "which interactions", A_FOLDER_NAME)
    split: str = option(
        "auto",
        "of each user's positives: random, or temporal, the last held out; auto is random, but "
        "for a prepared log what it was prepared with",
        one_of(*registry.SPLITS),
    )
    split_seed: int = option(0, "seed of a random train / valid / test split", A_SEED)
    valid_share: float = option(
        0.1,
        "share of train that becomes validation where the files have no such part; 0 for none",
        A_RATE,
    )
    layout: str = option(
        "pinsage", "zhihu, alibaba: which of the authors' formats", one_of(*registry.LAYOUTS)
    )
    positive_label: str = option(
        "long_view", "kuairand-pure: what a positive is", one_of(*registry.POSITIVE_LABELS)
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
    loss: str = option(
        "pairwise_hinge",
        "augmented_hinge is the paper's eq. (5); the default is the authors' code's",
        one_of_or_own(*registry.LOSSES),
    )
    margin: float = option(0.1, "gamma, margin of the hinge losses", above(0))
    l2: float = option(1e-4, "coefficient of the L2 penalty", at_least(0))
    l2_scope: str = option(
        "own",
        "own is each encoder's penalty: rows of the batch, for pinsage its kernels; all is half "
        "the sum of all squared weights",
        one_of(*registry.L2_SCOPES),
    )
    learning_rate: float = option(1e-3, "Adam's step size", above(0), alias="lr")
    adam_epsilon: float = option(1e-8, "Adam's epsilon; TensorFlow 1's default", above(0))
    batch_size: int = option(8192, "B, positive pairs a step; the authors' code's", at_least(1))
    gradient_clip: float = option(
        0.0,
        "largest absolute value of a gradient's element, 5 in the authors' PinSage; 0 for none",
        at_least(0),
    )
    pair_sampling: str = option(
        "edges",
        "S_p: edges are all train pairs, filled the same with a full last batch (the authors' "
        "PinSage), users one item each of B users (their LightGCN)",
        one_of(*registry.PAIR_SAMPLINGS),
    )
    stale_scores: bool = option(
        False, "negatives are chosen with the encoder of one step before, as in the authors' code"
    )
    epochs: int = option(1000, "epochs at most", at_least(1), alias="epoch")
    eval_every: int = option(1, "epochs between checks on the validation set", at_least(1))
    patience: int = option(
        10, "checks without a rise of validation Recall@20 before stopping", at_least(1)
    )
    validate_on: str = option(
        "valid",
        "what early stopping looks at; test is the authors' LightGCN's, a fault: the test metrics "
        "are then those of the epoch that is best on the test set",
        one_of(*registry.VALIDATION_PARTS),
    )
    ranking_depth: int = option(
        0,
        "items that a search for a user finds before the seen ones are dropped, 500 in the "
        "authors' LightGCN and 200 in their PinSage; 0 for as many as it takes to lose none",
        at_least(0),
    )
    ranker: str = option(
        "faiss",
        "engine of rankings, both exact; they differ in the order of equal scores alone",
        one_of(*registry.RANKERS),
    )
    seed: int = option(0, "seed of initial weights and of every draw", A_SEED)

    @classmethod
    def for_run(
        cls, dataset: str, encoder: str, files: Sequence[Path] = (), **settings: Any
    ) -> Self:
        """Return the settings of a run: those of its flagfiles, and what is given here.

        The command line, `reproduce` and `ablate` resolve their defaults here, too.

        Args:
            dataset: its name.
            encoder: its name.
            files: further flagfiles, which win over those of the dataset and the encoder.
            settings: values of fields, which win over all files.

        Raises:
            UserError: a flagfile is missing or names a flag that does not exist, or a value is
                not legal.

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
        """Return the settings that the given flagfiles alone make; the rest is as in `for_run`."""
        values = flagfiles.parse(files, Config, Workspace)
        config = from_flags(cls, values=values, dataset=dataset, encoder=encoder)
        return dataclasses.replace(config, **settings)

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> Self:
        """Return the settings of a config.json, of this version or an earlier one.

        Raises:
            TypeError: it has a setting that no version knows.
        """
        return cls(**complete({k: v for k, v in settings.items() if k != "data_checksum"}))

    def to_json(self) -> dict[str, Any]:
        """Return the settings as they are in config.json."""
        return dataclasses.asdict(self)

    def differences(self, base: Config) -> dict[str, Any]:
        """Return the settings that differ from those of `base`, in the order of the fields."""
        mine, its = self.to_json(), base.to_json()
        return {name: value for name, value in mine.items() if value != its[name]}


FIELDS = {field.name: field for field in dataclasses.fields(Config)}
"""The fields of Config by name."""

DEFAULTS = {name: field.default for name, field in FIELDS.items()}
"""The value of a setting in runs of versions that did not know it yet."""

RENAMED = {"region_reading": "region_definition"}
"""Settings that earlier versions wrote under another name."""


def complete(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's settings under today's names, with defaults for those it did not know."""
    return DEFAULTS | {RENAMED.get(name, name): value for name, value in settings.items()}


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
        name = f"{config.dataset}-{config.encoder}-{config.sampler}".replace(registry.OWN, ".")
        if config.seed:
            name += f"-seed{config.seed}"
        return Path(self.runs_dir) / (self.run_name or name)


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
            settings = complete(settings)
            expanded += [f"--{field.name}={settings[field.name]}" for field in flag_fields(Config)]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"--config={path} is not a run's config.json ({error}).") from error
    return expanded, positional


def explicit_settings(
    arguments: Sequence[str], dataset: str, encoder: str
) -> tuple[list[Path], dict[str, Any]]:
    """Return what a command line says of Config: its flagfiles, and the flags it sets itself.

    Args:
        arguments: the command line without the program.
        dataset, encoder: of the Config by which values are checked.

    Returns:
        The files of --flagfile, and the fields of the other flags with their values.

    Raises:
        UserError: a value is not legal.
    """
    files, values = flagfiles.split(arguments, Config)
    config = from_flags(Config, values=values, dataset=dataset, encoder=encoder)
    return files, {name: getattr(config, name) for name in sorted(explicit_flags(Config, values))}
