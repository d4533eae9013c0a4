"""What the commands share: parsed flags, one sentence for what the user can mend, quiet imports."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from absl import app, flags, logging

from recns_tf import options
from recns_tf.errors import UserError


def run(
    main: Callable[[list[str]], None],
    settings: Sequence[type],
    arguments: Callable[[], tuple[list[str], list[str]]] = lambda: (sys.argv, []),
    interrupted: str = "the same command goes on from here",
    flag_lists: str = "",
) -> None:
    """Run a command: main(words), with a flag for every field of the classes in `settings`.

    What the user can mend becomes one line and a status other than 0.

    Args:
        main: takes the command line without its flags.
        settings: dataclasses of options.option fields.
        arguments: returns the command line, and what takes the place of its words where there
            are none.
        interrupted: what to tell of the state that an interrupt leaves.
        flag_lists: the command that lists every flag; that of run.sh by the program's name if
            empty.
    """
    try:
        line, default_words = arguments()
        options.define_flags(*settings)
        # --help shows the flags of the program that was called.
        for flag in flags.FLAGS.get_key_flags_for_module(options.__name__):
            flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        logging.set_verbosity(logging.WARNING)
        app.run(
            lambda words: main(words[1:] or default_words),
            line,
            flags_parser=partial(parse, flag_lists),
        )
    except UserError as error:
        sys.exit(f"recns_tf: {error}")
    except BrokenPipeError:
        # The reader of our output is gone, as in "| head": nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        sys.exit(f"recns_tf: {error.filename or 'the system'}: {error.strerror or error}.")
    except KeyboardInterrupt:
        print(f"\nrecns_tf: interrupted; {interrupted}.", file=sys.stderr)
        sys.exit(130)


def require_words(words: Sequence[str], names: Sequence[str], example: str) -> None:
    """Raise UserError unless there is a word for each of `names`.

    Args:
        words: of the command line.
        names: what they stand for.
        example: a whole command.
    """
    if len(words) != len(names):
        needed = "one word is" if len(names) == 1 else "two words are"
        raise UserError(
            f"{needed} needed, {' and '.join(names)}, not {len(words)}: for example '{example}'."
        )


def parse(flag_lists: str, arguments: list[str]) -> list[str]:
    """Parse the flags and return the command line without them; `flag_lists` is as of `run`.

    Raises:
        UserError: a flag is unknown, or its value is not of its type.
    """
    try:
        words: list[str] = flags.FLAGS(arguments)
    except flags.Error as error:
        command = Path(sys.argv[0]).stem
        lists = "./run.sh help" if command == "main" else f"./run.sh help {command}"
        raise UserError(f"{error}; '{flag_lists or lists}' lists every flag.") from error
    return words


@contextmanager
def silenced_stderr() -> Iterator[None]:
    """Drop what native code writes to file descriptor 2 while the block runs.

    Importing TensorFlow reports a missing GPU there, before any log level takes effect.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
