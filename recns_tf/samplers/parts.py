"""The parts of a model that settings name, and whether they go together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from recns_tf import losses, registry
from recns_tf.encoders import columns, rows
from recns_tf.encoders.base import Encoder
from recns_tf.errors import UserError
from recns_tf.losses import Loss
from recns_tf.ops.workers import workers
from recns_tf.samplers.base import Sampler

if TYPE_CHECKING:
    from recns_tf.config.config import Config


class Parts(NamedTuple):
    """The parts of a model that have a name.

    Example:
        >>> Parts.load(config).check(config)
    """

    encoder: type[Encoder]
    sampler: type[Sampler]
    loss: Loss

    @classmethod
    def load(cls, config: Config) -> Self:
        """Return the parts that settings name.

        Raises:
            UserError: one is unknown, or cannot be loaded.
        """
        return cls(
            registry.find(registry.ENCODERS, "encoder", config.encoder).load(),
            registry.find(registry.SAMPLERS, "sampler", config.sampler).load(),
            registry.find(registry.LOSSES, "loss", config.loss).load(),
        )

    def check(self, config: Config) -> None:
        """Raise UserError if the parts cannot be trained together with these settings.

        This needs no data. What depends on the data is checked when the model is built.

        Args:
            config: the settings that name the parts.
        """
        if self.sampler.leaves_out and not losses.keywords_of(self.loss, (losses.KEPT,)):
            raise UserError(
                f"--loss={config.loss} cannot leave out negatives, as --sampler={config.sampler} "
                f"needs: give it a keyword-only argument '{losses.KEPT}', or choose another loss."
            )
        if self.sampler.uses_layers and self.encoder.without_layers:
            raise UserError(
                f"--sampler={config.sampler} chooses negatives in each layer of the encoder, which "
                f"{config.encoder} does not allow, since {self.encoder.without_layers}: choose "
                "another --sampler, or the encoder lightgcn, ngcf or mf."
            )
        if config.strategy == columns.STRATEGY:
            self.check_columns(config)
        if config.strategy == rows.STRATEGY:
            self.check_rows(config)
        self.encoder.check_settings(config)
        self.sampler.check_settings(config)

    def check_columns(self, config: Config) -> None:
        """Raise UserError if a part needs whole embeddings; see encoders/columns.py."""
        divides = "--strategy=columns divides the columns of the embeddings among the workers"
        if not self.encoder.splits_columns:
            raise UserError(
                f"{divides}, but {config.encoder} mixes columns: choose --strategy=batch, or the "
                "encoder lightgcn or mf."
            )
        if not self.sampler.needs_scores_alone:
            legal = (
                name for name, entry in registry.SAMPLERS.items() if entry.load().needs_scores_alone
            )
            raise UserError(
                f"{divides}, but --sampler={config.sampler} needs whole embeddings: choose one of "
                f"{', '.join(legal)}."
            )
        if config.scores == "cosine":
            raise UserError(
                f"{divides}, but --scores=cosine needs whole embeddings: choose --scores=inner."
            )
        if config.dim < workers().count:
            raise UserError(
                f"--dim={config.dim}: choose at least {workers().count}, a column per worker."
            )

    def check_rows(self, config: Config) -> None:
        """Raise UserError if a part needs more than rows of its batch; see encoders/rows.py."""
        if self.sampler.uses_layers or self.sampler.has_auxiliary_loss:
            raise UserError(
                "--strategy=batch divides the pairs among the workers, which exchange final "
                f"embeddings and scores alone, but --sampler={config.sampler} needs more: choose "
                "another --sampler."
            )
