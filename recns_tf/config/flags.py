"""Settings declared as dataclass fields with a help text, a rule and an optional alias.

`make_flags` defines absl flags from such classes, and `from_flags` reads them back.
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
    """A condition on the value of a flag.

    Attributes:
        legal: description of the legal values, to follow "choose".
        holds: returns whether a value is legal.
    """

    legal: str
    holds: Callable[[Any], bool]


def at_least(low: float) -> Rule:
    """Return the rule that a number is finite and at least `low`."""
    return Rule(f"a number of at least {low}", lambda value: low <= value < math.inf)


def above(low: float) -> Rule:
    """Return the rule that a number is finite and greater than `low`."""
    return Rule(f"a number above {low}", lambda value: low < value < math.inf)


def between(low: float, high: float) -> Rule:
    """Return the rule that a number lies between `low` and `high`, both included."""
    return Rule(f"a number from {low} to {high}", lambda value: low <= value <= high)


def one_of(*names: str) -> Rule:
    """Return the rule that a value is one of `names`."""
    return Rule(f"one of {', '.join(names)}", lambda value: value in names)


ODD_FROM_3 = Rule("an odd number of steps, 3, 5, 7, …", lambda value: value >= 3 and value % 2 == 1)
A_RATE = Rule("a share from 0 to less than 1", lambda value: 0 <= value < 1)
NUMBERS = Rule(
    "positive integers separated by commas, such as 25,10",
    lambda text: bool(re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", text)),
)
LARGEST_K = 1_000
K_VALUES = Rule(
    f"positive integers of at most {LARGEST_K} separated by commas, such as 5,10,20",
    lambda text: NUMBERS.holds(text) and all(int(k) <= LARGEST_K for k in text.split(",")),
)
A_FOLDER_NAME = Rule(
    "the name of one folder, without /", lambda value: "/" not in value and value not in (".", "..")
)
NOT_EMPTY = Rule("a folder", bool)
A_SEED = between(0, 2**31 - 1)
A_SIZE = between(1, 2**31 - 1)


def one_of_or_custom(*names: str) -> Rule:
    """Return the rule that a value is one of `names` or a user-defined module:object."""
    legal = f"one of {', '.join(names)}, or module:object of your own"
    return Rule(legal, lambda value: value in names or OWN in value)


def option(default: Any, text: str, rule: Rule | None = None, alias: str | None = None) -> Any:
    """Return a dataclass field that also describes a flag.

    Args:
        default: the default value; its type is the flag's type.
        text: help text. Names of datasets, encoders or samplers before a colon limit the flag
            to those.
        rule: condition on the value; None accepts every value of the type.
        alias: name of the flag in the original repository.
    """
    return dataclasses.field(default=default, metadata={"text": text, "rule": rule, "alias": alias})


Settings = typing.TypeVar("Settings", bound="Checked")


class Checked:
    """A dataclass that checks its fields on creation.

    Raises:
        UserError: a value is illegal; the message names the flag and the legal values.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(typing.cast(Any, self)):
            rule, value = field.metadata["rule"], getattr(self, field.name)
            if rule and not rule.holds(value):
                raise UserError(f"--{field.name}={value}: choose {rule.legal}.")


POSITIONAL = ("dataset", "encoder", "name")
CASELESS = ("sampler", "loss", "select_by")
DEFINERS = {
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
    bool: flags.DEFINE_bool,
}


def flag_fields(cls: type) -> list[dataclasses.Field[Any]]:
    """Return the fields of a settings class that are flags."""
    return [field for field in dataclasses.fields(cls) if field.name not in POSITIONAL]


def make_flags(*classes: type) -> flags.FlagValues:
    """Return new absl flags: one, and its alias, for every field that is not positional.

    Args:
        classes: dataclasses of option fields.
    """
    values = flags.FlagValues()
    for cls in classes:
        for field in flag_fields(cls):
            text, rule, alias = (field.metadata[key] for key in ("text", "rule", "alias"))
            help_text = f"{text}; {rule.legal}" if rule else text
            define = DEFINERS[type(field.default)]
            define(field.name, field.default, help_text, flag_values=values)
            if alias:
                flags.DEFINE_alias(alias, field.name, flag_values=values)
    return values


def explicit_flags(cls: type, values: flags.FlagValues) -> set[str]:
    """Return the names of the fields whose flags or aliases were set on the command line."""
    return {
        field.name
        for field in flag_fields(cls)
        for name in (field.name, field.metadata["alias"])
        if name and values[name].present
    }


def from_flags(cls: type[Settings], values: flags.FlagValues, **positional: str) -> Settings:
    """Return the settings given by parsed flags and positional words.

    Raises:
        UserError: a value is illegal.
    """
    settings = {field.name: values[field.name].value for field in flag_fields(cls)}
    for name in CASELESS:
        if OWN not in settings.get(name, OWN):
            settings[name] = settings[name].lower()
    return cls(**positional, **settings)
