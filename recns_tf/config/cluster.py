"""Which machines compute what a command can divide into tasks; results do not depend on it."""

from __future__ import annotations

import dataclasses
import importlib.util
import re

from recns_tf.config.flags import Checked, Rule, one_of, option
from recns_tf.errors import UserError

LOCAL, RAY = "local", "ray"
ADDRESS = re.compile(r"|[A-Za-z0-9_.-]+:([0-9]{1,5})")
LARGEST_PORT = 65_535


def is_address(text: str) -> bool:
    """Return whether a text can be the address of a Ray cluster, or is empty."""
    found = ADDRESS.fullmatch(text)
    return found is not None and int(found[1] or 0) <= LARGEST_PORT


AN_ADDRESS = Rule("HOST:PORT, as 'ray start --head' prints it, or nothing", is_address)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterSettings(Checked):
    """Where the tasks of a command run.

    Raises:
        UserError: a value is illegal, or there is an address without --engine=ray.
    """

    engine: str = option(
        LOCAL,
        "what computes; local: this process; ray: tasks on a Ray cluster, with the same result",
        one_of(LOCAL, RAY),
    )
    address: str = option(
        "",
        "ray: the cluster that this machine belongs to; empty starts Ray for this command alone",
        AN_ADDRESS,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.address and self.engine != RAY:
            raise UserError(f"--address={self.address} is for a Ray cluster: add --engine=ray.")

    def require_packages(self) -> None:
        """Raise UserError if a package that these settings need is not installed."""
        if self.engine == RAY:
            require_ray("--engine=ray")


def require_ray(flag: str) -> None:
    """Raise UserError if Ray, which a flag needs, is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise UserError(f"{flag} needs the package ray: pip install 'recns-tf[cluster]'.")


LOCALLY = ClusterSettings()
"""In this process."""
