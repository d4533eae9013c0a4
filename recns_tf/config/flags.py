"""Settings that are flags: fields of dataclasses with a help text, a rule and perhaps an alias.

The absl flags are defined from such classes in `define_flags`, and read in `from_flags` alone.
"""

from __future__ import annotations

import dataclasses
import math
import re
import typing
from collections.abc import Callable
from typing import Any, NamedTuple

from absl import flags

from recns_tf.errors import UserError
from recns_tf.registry import OWN


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


def between(low: float, high: float) -> Rule:
    """Return the rule of numbers from `low` to `high`."""
    return Rule(f"a number from {low} to {high}", lambda value: low <= value <= high)


def one_of(*names: str) -> Rule:
    """Return the rule of one of `names`."""
    return Rule(f"one of {', '.join(names)}", lambda value: value in names)


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
A_SEED = between(0, 2**31 - 1)
A_SIZE = between(1, 2**31 - 1)


def one_of_or_own(*names: str) -> Rule:
    """Return the rule of one of `names`, or of module:object, the reader's own."""
    legal = f"one of {', '.join(names)}, or module:object of your own"
    return Rule(legal, lambda value: value in names or OWN in value)


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


def define_flags(*classes: type, values: flags.FlagValues) -> None:
    """Define one absl flag, and its alias, for every field that is not positional.

    Args:
        classes: dataclasses of option fields.
        values: where the flags are defined.
    """
    for cls in classes:
        for field in flag_fields(cls):
            text, rule, alias = (field.metadata[key] for key in ("text", "rule", "alias"))
            help_text = f"{text}; {rule.legal}" if rule else text
            define = DEFINERS[type(field.default)]
            define(field.name, field.default, help_text, flag_values=values)
            if alias:
                flags.DEFINE_alias(alias, field.name, flag_values=values)


def explicit_flags(cls: type, values: flags.FlagValues) -> set[str]:
    """Return the names of the fields whose flags, or their aliases, are on the command line."""
    return {
        field.name
        for field in flag_fields(cls)
        for name in (field.name, field.metadata["alias"])
        if name and values[name].present
    }


def from_flags(cls: type[Settings], values: flags.FlagValues, **positional: str) -> Settings:
    """Return the settings that the parsed flags and the positional words make.

    Raises:
        UserError: a value is not legal.
    """
    settings = {field.name: values[field.name].value for field in flag_fields(cls)}
    for name in CASELESS:
        if OWN not in settings.get(name, OWN):
            settings[name] = settings[name].lower()
    return cls(**positional, **settings)
