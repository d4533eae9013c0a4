"""Settings declared as dataclass fields with a help text, a rule and an optional alias.

`make_flags` defines absl flags from such classes, and `from_flags` reads them back.
"""

from __future__ import annotations

import dataclasses
import numbers
import re
import typing
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from absl import flags

from recns_tf.config.shared_flag import SharedFlag
from recns_tf.errors import UserError
from recns_tf.registry import OWN
from recns_tf.utils.text import LONGEST_TEXT, printable, require_text, shown


class Rule(NamedTuple):
    """A condition on the value of a flag.

    Attributes:
        legal: description of the legal values, to follow "choose".
        holds: returns whether a value is legal.
        bounds: the smallest and the largest legal number; None for text.
    """

    legal: str
    holds: Callable[[Any], bool]
    bounds: tuple[float, float] | None = None


def whole(low: int, high: int) -> Rule:
    """Return the rule that a whole number lies between `low` and `high`, both included."""
    return Rule(
        f"a whole number from {low} to {high}", lambda value: low <= value <= high, (low, high)
    )


def between(low: float, high: float) -> Rule:
    """Return the rule that a number lies between `low` and `high`, both included."""
    return Rule(
        f"a number from {low:.15g} to {high:.15g}", lambda value: low <= value <= high, (low, high)
    )


def above(low: float, high: float) -> Rule:
    """Return the rule that a number is greater than `low` and at most `high`."""
    return Rule(
        f"a number above {low:.15g}, at most {high:.15g}",
        lambda value: low < value <= high,
        (low, high),
    )


def one_of(*names: str) -> Rule:
    """Return the rule that a value is one of `names`."""
    return Rule(f"one of {', '.join(names)}", lambda value: value in names)


def some_of(*names: str) -> Rule:
    """Return the rule that a text lists one or more of `names`."""
    return Rule(
        f"some of {', '.join(names)}, separated by commas",
        lambda text: all(name in names for name in text.split(",")),
    )


def list_of(low: int, high: int, example: str, most: int = 100) -> Rule:
    """Return the rule that a text lists up to `most` whole numbers from `low` to `high`."""
    digits = len(str(high))
    form = re.compile(rf"[0-9]{{1,{digits}}}(,[0-9]{{1,{digits}}})*")

    def holds(text: str) -> bool:
        if not form.fullmatch(text):
            return False
        numbers = [int(number) for number in text.split(",")]
        return len(numbers) <= most and all(low <= number <= high for number in numbers)

    return Rule(
        f"at most {most} whole numbers from {low} to {high} separated by commas, such as {example}",
        holds,
    )


LONGEST_WALK = 99
ODD_FROM_3 = Rule(
    f"an odd number of steps from 3 to {LONGEST_WALK}",
    lambda value: 3 <= value <= LONGEST_WALK and value % 2 == 1,
    (3, LONGEST_WALK),
)
A_RATE = Rule("a share from 0 to less than 1", lambda value: 0 <= value < 1, (0, 1))
LARGEST_K = 1_000
K_VALUES = list_of(1, LARGEST_K, "5,10,20")
LARGEST_INTEGER = 2**31 - 1
"""The largest int32, the type of ids and counts."""
A_SEED = whole(0, LARGEST_INTEGER)
A_SIZE = whole(1, LARGEST_INTEGER)
A_NUMBER = whole(0, LARGEST_INTEGER)
A_WIDTH = whole(1, 65_536)
"""A number of columns of an embedding."""
A_FEW = whole(1, 10_000)
"""A number of items per pair."""
A_DURATION = whole(1, 10**9)
"""A number of epochs, steps or rounds."""
A_WAIT = whole(0, 10**9)
"""A number of epochs or steps that may be 0."""
NOT_NEGATIVE = between(0, 1e9)
POSITIVE = above(0, 1e9)

LONGEST_NAME = 200
"""Bytes of the name of a folder: file systems allow 255, and temporary names have a prefix."""


def is_folder_name(name: str) -> bool:
    """Return whether a text can be the name of one folder; "" stands for a default."""
    return (
        "/" not in name
        and name not in (".", "..")
        and name == name.strip()
        and len(name.encode(errors="surrogatepass")) <= LONGEST_NAME
    )


A_FOLDER_NAME = Rule(
    f"the name of one folder, without / and spaces around it, of at most {LONGEST_NAME} bytes",
    is_folder_name,
)
A_FOLDER = Rule("a folder", lambda text: bool(text.strip()))


def one_of_or_custom(*names: str) -> Rule:
    """Return the rule that a value is one of `names` or a user-defined module:object."""
    legal = f"one of {', '.join(names)}, or module:object of your own"
    return Rule(legal, lambda value: value in names or OWN in value)


def option(
    default: Any,
    text: str,
    rule: Rule | None = None,
    alias: str | None = None,
    *,
    longest: int = LONGEST_TEXT,
    control_characters: bool = False,
) -> Any:
    """Return a dataclass field that also describes a flag.

    Args:
        default: the default value; its type is the flag's type.
        text: help text. Names of datasets, encoders or samplers before a colon limit the flag
            to those.
        rule: condition on the value; None accepts every value of the type.
        alias: name of the flag in the original repository.
        longest: number of characters that a text may have.
        control_characters: whether a text may contain control characters.
    """
    metadata = {
        "text": text,
        "rule": rule,
        "alias": alias,
        "longest": longest,
        "control_characters": control_characters,
    }
    return dataclasses.field(default=default, metadata=metadata)


Settings = typing.TypeVar("Settings", bound="Checked")


class Checked:
    """A dataclass that checks its fields on creation.

    Class attributes:
        positional: names of fields that a command line gives as words, not as flags.

    Raises:
        UserError: a value is illegal; the message names the flag and the legal values.
    """

    positional: typing.ClassVar[tuple[str, ...]] = ("dataset", "encoder", "name")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(typing.cast(Any, self)):
            require_legal(field, getattr(self, field.name))


KINDS: dict[type, tuple[type, str]] = {
    int: (numbers.Integral, "a whole number"),
    float: (numbers.Real, "a number"),
    str: (str, "a text"),
    bool: (bool, "true or false"),
}
"""By the type of a field, the types of its values, and what they are called."""


def require_legal(field: dataclasses.Field[Any], value: Any) -> None:
    """Raise UserError unless a field may have the value."""
    rule, name = field.metadata["rule"], f"--{field.name}="
    kinds, _ = KINDS[type(field.default)]
    flag_of_number = isinstance(value, bool) and not isinstance(field.default, bool)
    if not isinstance(value, kinds) or flag_of_number:
        raise UserError(f"{name}{shown(value)}: choose {legal_values(field)}.")
    if isinstance(value, str):
        longest, control = (field.metadata[key] for key in ("longest", "control_characters"))
        require_text(value, name, longest, control)
    if rule and not rule.holds(value):
        raise UserError(f"{name}{shown(value)}: choose {rule.legal}.")


def legal_values(field: dataclasses.Field[Any]) -> str:
    """Return a description of the legal values of a field, to follow "choose"."""
    rule = field.metadata["rule"]
    return rule.legal if rule else KINDS[type(field.default)][1]


CASELESS = ("sampler", "loss", "select_by")
UNREADABLE = (flags.Error, ValueError)
"""What absl raises for a command line or a flagfile that it cannot read."""


def message_of(error: BaseException, more: str = "") -> str:
    """Return why a command line or a flagfile cannot be read.

    Args:
        error: one of UNREADABLE.
        more: what follows a message other than that of an illegal value.
    """
    is_value = isinstance(error, flags.IllegalFlagValueError)
    return str(error) if is_value else f"{printable(str(error))}{more}"


class FieldParser(flags.ArgumentParser):
    """Turns the text of a flag into the value of a field.

    Args:
        field: the field.
        parser: absl's parser of the field's type.
    """

    def __init__(self, field: dataclasses.Field[Any], parser: flags.ArgumentParser):
        self.field = field
        self.parser = parser
        self.syntactic_help = parser.syntactic_help

    def parse(self, argument: Any) -> Any:
        """Return the value that a text stands for.

        Raises:
            IllegalFlagValueError: the text has another type.
        """
        try:
            return self.parser.parse(argument)
        except (TypeError, ValueError, OverflowError) as error:
            # absl would put its own words around a ValueError, such as a UserError.
            raise flags.IllegalFlagValueError(
                f"--{self.field.name}={shown(argument)}: choose {legal_values(self.field)}."
            ) from error

    def flag_type(self) -> str:
        """Return the name of the type."""
        return self.parser.flag_type()


PARSERS = {
    int: flags.IntegerParser,
    float: flags.FloatParser,
    str: flags.ArgumentParser,
    bool: flags.BooleanParser,
}


def flag_fields(cls: type[Checked]) -> list[dataclasses.Field[Any]]:
    """Return the fields of a settings class that are flags."""
    fields = dataclasses.fields(typing.cast(Any, cls))
    return [field for field in fields if field.name not in cls.positional]


def make_flags(*classes: type[Checked]) -> flags.FlagValues:
    """Return new absl flags: one, and its alias, for every field that is not positional.

    Args:
        classes: dataclasses of option fields.
    """
    values = flags.FlagValues()
    fields = [field for cls in classes for field in flag_fields(cls)]
    names = {field.name for field in fields}
    aliased = {alias: field for field in fields if (alias := field.metadata["alias"])}
    for field in fields:
        text, rule, alias = (field.metadata[key] for key in ("text", "rule", "alias"))
        kind = type(field.default)
        make: Callable[..., flags.Flag] = flags.Flag
        if other := aliased.get(field.name):
            holds = other.metadata["rule"].holds
            make = partial(SharedFlag, other=other.name, holds=holds, values=values)
        flag = make(
            parser=FieldParser(field, PARSERS[kind]()),
            serializer=flags.ArgumentSerializer(),
            name=field.name,
            default=field.default,
            help_string=f"{text}; {rule.legal}" if rule else text,
            boolean=kind is bool,
        )
        flags.DEFINE_flag(flag, values)
        if alias and alias not in names:
            flags.DEFINE_alias(alias, field.name, flag_values=values)
    return values


def explicit_flags(cls: type[Checked], values: flags.FlagValues) -> set[str]:
    """Return the names of the fields whose flags or aliases were set on the command line."""
    fields = flag_fields(cls)
    # The name of a SharedFlag is an alias, but not one that absl knows.
    names = {field.name for field in fields}
    return {
        field.name
        for field in fields
        for name in {field.name, field.metadata["alias"]} - (names - {field.name})
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
