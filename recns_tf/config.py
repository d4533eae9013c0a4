"""Everything a result depends on, and the flags it is given by.

`Config` is what config.json beside a result holds; `Workspace` says only where things are kept.
Flags are the paper's symbols in words; the original repository's spellings are aliases.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recns_tf import catalog
from recns_tf.encoders.settings import EncoderSettings
from recns_tf.errors import UserError
from recns_tf.options import (
    A_FOLDER_NAME,
    A_RATE,
    A_SEED,
    A_SIZE,
    NOT_EMPTY,
    Checked,
    above,
    at_least,
    flag_fields,
    one_of,
    one_of_or_own,
    option,
)
from recns_tf.samplers.settings import SamplerSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(EncoderSettings, SamplerSettings, Checked):
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
    loss: str = option(
        "pairwise_hinge",
        "augmented_hinge is the paper's eq. (5); the default is the authors' code's",
        one_of_or_own(*catalog.LOSSES),
    )
    margin: float = option(0.1, "gamma, margin of the hinge losses", above(0))
    l2: float = option(1e-4, "coefficient of the L2 penalty", at_least(0))
    l2_scope: str = option(
        "own",
        "own is each encoder's penalty: rows of the batch, for pinsage its kernels; all is half "
        "the sum of all squared weights",
        one_of(*catalog.L2_SCOPES),
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
        one_of(*catalog.PAIR_SAMPLINGS),
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
        one_of(*catalog.VALIDATION_PARTS),
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
        one_of(*catalog.RANKERS),
    )
    seed: int = option(0, "seed of initial weights and of every draw", A_SEED)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as they stand in config.json."""
        return dataclasses.asdict(self)


DEFAULTS = {field.name: field.default for field in dataclasses.fields(Config)}
"""What a setting stood at in runs of versions that did not know it yet."""


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
    profile: bool = option(
        False, "first tell where the time of a training step goes, into RUN/profile/"
    )

    def run_folder(self, config: Config) -> Path:
        """Return the folder of the run that `config` describes."""
        name = f"{config.dataset}-{config.encoder}-{config.sampler}".replace(catalog.OWN, ".")
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
            expanded += [
                f"--{field.name}={settings.get(field.name, field.default)}"
                for field in flag_fields(Config)
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"--config={path} is not a run's config.json ({error}).") from error
    return expanded, positional
