"""Settings of the weights that training starts from."""

from __future__ import annotations

import dataclasses

from recns_tf import registry
from recns_tf.config.flags import Checked, one_of, option
from recns_tf.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class InitialSettings(Checked):
    """Weights drawn at random, or those of an earlier run."""

    init_from: str = option(
        "",
        "folder of a finished run with the same encoder, whose weights training starts from; rows "
        "are matched by the ids of users and items; random weights if empty",
    )
    init_optimizer: str = option(
        "new",
        "with --init_from, the moments of Adam; new: none yet; kept: those of that run",
        one_of(*registry.INITIAL_OPTIMIZERS),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.init_optimizer != "new" and not self.init_from:
            raise UserError(
                f"--init_optimizer={self.init_optimizer} needs --init_from, the run to keep it of."
            )
