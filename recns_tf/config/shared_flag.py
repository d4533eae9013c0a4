"""A flag whose name is also what the original repository calls another flag."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from absl import flags


class SharedFlag(flags.Flag):
    """A flag that passes on the values that only the other flag may have.

    The original repository's --strategy is --sampler here: --strategy=dns sets --sampler, and
    --strategy=mirrored sets --strategy.

    Args:
        *arguments: of absl's Flag.
        other: name of the other flag.
        holds: returns whether a text, in lower case, is a legal value of the other flag.
        values: the flags.
        **keywords: of absl's Flag.
    """

    def __init__(
        self,
        *arguments: Any,
        other: str,
        holds: Callable[[str], bool],
        values: flags.FlagValues,
        **keywords: Any,
    ):
        super().__init__(*arguments, **keywords)
        self.other = other
        self.holds = holds
        self.values = values

    def parse(self, argument: Any) -> None:
        """Set this flag or the other one."""
        if isinstance(argument, str) and self.holds(argument.lower()):
            self.values[self.other].parse(argument)
            self.values[self.other].using_default_value = False
        else:
            super().parse(argument)
