"""Runs a command: parses its flags, and reports errors that the user can fix in one sentence."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from absl import flags, logging

from recns_tf import datasets
from recns_tf.config import flagfiles
from recns_tf.config.command_line import Expanded
from recns_tf.config.config import Config, Workspace
from recns_tf.config.custom_parts import NAMING, is_custom, refuse_custom
from recns_tf.config.flags import (
    UNREADABLE,
    Checked,
    flag_fields,
    from_flags,
    make_flags,
    message_of,
)
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.registry import COMMANDS, suggestion
from recns_tf.utils import failures
from recns_tf.utils.program import HELP, short_name
from recns_tf.utils.streams import discard_output
from recns_tf.utils.text import LONGEST_LIST, one_line, require_text

OPTIONAL, MORE = "[", "…"

Settings = TypeVar("Settings", bound=Checked)


class Call(NamedTuple):
    """One call of a command.

    Attributes:
        words: the positional words.
        arguments: the command line as given, without the program and the command.
        flags: the parsed flags.
        custom: whether the user named a part outside the package, here or in a flagfile.
    """

    words: list[str]
    arguments: list[str]
    flags: flags.FlagValues
    custom: bool = False

    def settings(self, cls: type[Settings], **positional: str) -> Settings:
        """Return the settings of a class that the flags and the positional words make.

        Raises:
            UserError: a value is not legal.
        """
        return from_flags(cls, values=self.flags, **positional)


class Command(NamedTuple):
    """A command of the program.

    Attributes:
        about: what it does, the text above the flags in its help.
        words: names of its positional words, such as "DATASET ENCODER"; one that ends with "…"
            stands for one or more, one in brackets for none or more.
        example: its words and flags in an example.
        settings: dataclasses whose fields are its flags.
        run: takes the call.
        interrupted: says what an interrupt leaves.
        flagfile_words: 1 if the first word is a dataset, 2 if the second is an encoder besides;
            their flagfiles come before the command line.
        expand: replaces arguments before they are parsed.
        raw: whether the arguments are another program's, and are passed on unparsed.
    """

    about: str
    words: str
    example: str
    settings: tuple[type[Checked], ...]
    run: Callable[[Call], None]
    interrupted: str = "run it again"
    flagfile_words: int = 0
    expand: Callable[[Sequence[str]], Expanded] | None = None
    raw: bool = False


def load_dataset(call: Call) -> tuple[Config, Interactions, Path]:
    """Return the settings of a call, the dataset that its first word names, and its folder.

    Raises:
        UserError: the dataset is unknown or cannot be loaded, or a setting is not legal.
    """
    name, data_dir = call.words[0], call.settings(Workspace).data_dir
    datasets.require(name, data_dir)
    config = call.settings(Config, dataset=name)
    return config, datasets.load(config, data_dir), Path(data_dir) / name


def run(command: Command, arguments: Sequence[str], called: str) -> None:
    """Run a command, and exit with a status other than 0 if it fails.

    Args:
        command: which.
        arguments: the command line without the program and the command.
        called: how the command was called, such as "./run.sh train".
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.set_verbosity(logging.WARNING)
    try:
        if any(argument in HELP for argument in arguments):
            print(help_text(command, called))
        elif command.raw:
            command.run(Call([], list(arguments), flags.FlagValues()))
        else:
            call = parse(command, arguments, called)
            if call.custom:
                # The user's own module is found there however the program was called.
                sys.path.append(os.getcwd())
            command.run(call)
    except UserError as error:
        sys.exit(f"{short_name()}: {error}")
    except BrokenPipeError:
        # The reader closed the pipe, as in "| head".
        discard_output()
        sys.exit(1)
    except KeyboardInterrupt:
        print(f"\n{short_name()}: interrupted; {command.interrupted}.", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        sys.exit(f"{short_name()}: {describe(error)}")


def describe(error: Exception) -> str:
    """Return a sentence on an error that is not a UserError.

    An error of the program itself is described by the path of a file with the details, so that it
    can be reported.
    """
    if text := failures.sentence(error):
        return text
    if isinstance(error, OSError):
        return f"{error.filename or 'the system'}: {error.strerror or error}."
    path = Path(tempfile.gettempdir()) / f"{short_name().lstrip('./')}-error-{os.getpid()}.txt"
    details = "".join(traceback.format_exception(error))
    with suppress(OSError):
        path.write_text(details, encoding="utf-8", errors="backslashreplace")
    return (
        f"unexpected error ({type(error).__name__}: {one_line(error)}). This is a fault of the "
        f"program: please report it with {path}."
    )


def parse(command: Command, arguments: Sequence[str], called: str) -> Call:
    """Return the call that a command line makes.

    Raises:
        UserError: a flag is unknown or repeated, its value is not of its type, words are missing,
            or a file of --config names a part outside the package.
    """
    for argument in arguments:
        if not argument.startswith("-"):
            require_text(argument, "", LONGEST_LIST, control_characters=True)
    refuse_repeated(command, arguments)
    expanded = Expanded(list(arguments), [], list(arguments), None)
    if command.expand:
        expanded = command.expand(arguments)
    line = flagfiles.locate(expanded.line)
    values = make_flags(*command.settings)
    words = read(values, line, called) or expanded.words
    for word in words:
        require_text(word, "")
    require_words(command, words, called)
    files: list[str] = []
    if command.flagfile_words:
        files = [*map(flagfiles.flag, flagfiles.find(*words[: command.flagfile_words]))]
        # The line sets all that it set before once more, so that it still wins.
        read(values, [*files, *line], called)
    typed = named_parts(words, values)
    if expanded.file:
        own = make_flags(*command.settings)
        own_words = read(own, [*files, *flagfiles.locate(expanded.typed)], called)
        typed = named_parts(own_words, own)
    if expanded.file and not values["allow_custom"].value:
        named = {"encoder": words[1], "sampler": values["sampler"].value}
        named["loss"] = values["loss"].value
        remedy = "repeat the name on the command line, or add --allow_custom"
        refuse_custom(named, expanded.file, remedy, typed)
    return Call(words, list(arguments), values, any(map(is_custom, typed)))


def named_parts(words: Sequence[str], values: flags.FlagValues) -> list[str]:
    """Return the words and the values of flags that may name a part outside the package."""
    # The first word is a dataset, which is never one.
    return [*words[1:], *(str(values[name].value) for name in NAMING if name in values)]


def read(values: flags.FlagValues, arguments: Sequence[str], called: str) -> list[str]:
    """Set flags to the values of a command line, and return its words.

    Raises:
        UserError: a flag is unknown, or its value is not of its type.
    """
    values.set_gnu_getopt(True)
    try:
        words: list[str] = values([called, *arguments])
    except UnicodeDecodeError as error:
        files = ", ".join(each for each in arguments if each.startswith(flagfiles.FLAG))
        raise UserError(f"{files}: not a text in UTF-8.") from error
    except UNREADABLE as error:
        more = f"; '{called} --help' lists every flag."
        raise UserError(message_of(error, more)) from error
    return words[1:]


def refuse_repeated(command: Command, arguments: Sequence[str]) -> None:
    """Raise UserError if a command line sets a flag more than once, under any of its names.

    A flagfile and --config may set it, too: the command line then wins.
    """
    try:
        _, values = flagfiles.split(arguments, *command.settings)
    except UNREADABLE:
        return  # `read` reports it
    for cls in command.settings:
        for field in flag_fields(cls):
            # An alias counts as its flag.
            if (times := values[field.name].present) > 1:
                names = [name for name in (field.name, field.metadata["alias"]) if name]
                raise UserError(f"--{' or --'.join(names)} is given {times} times: give it once.")


def require_words(command: Command, words: Sequence[str], called: str) -> None:
    """Raise UserError unless there are as many words as a command needs."""
    names = command.words.split()
    needed = [name for name in names if not name.startswith(OPTIONAL)]
    least, endless = len(needed), len(needed) < len(names) or command.words.endswith(MORE)
    if len(words) < least or (len(words) > least and not endless):
        counts = {0: "no word is", 1: "one word is", 2: "two words are"}
        least_text = counts[least] if not endless else f"at least {counts[least]}"
        what = f", {' and '.join(needed)}" if needed else ""
        hint = suggestion(words[0], COMMANDS) if words else ""
        raise UserError(
            f"{least_text} needed{what}, not {len(words)}: "
            f"for example '{example(command, called)}'.{hint}"
        )


def example(command: Command, called: str) -> str:
    """Return an example of a command as the user would type it."""
    # The command is optional where it is "train".
    return f"{called.removesuffix(' train')} {command.example}".strip()


def help_text(command: Command, called: str) -> str:
    """Return the usage of a command and every flag with its meaning and default."""
    values = make_flags(*command.settings)
    lines = [
        f"Usage: {called} {command.words} [--flag=value …]",
        f"Example: {example(command, called)}",
        "",
        command.about.strip(),
    ]
    if command.raw:
        return "\n".join(lines)
    # absl sorts flags by the module that defines them, which is one and the same here.
    _, _, listed = values.get_help(prefix="  ").lstrip().partition("\n")
    return "\n".join([*lines, "", "Flags:", listed])
