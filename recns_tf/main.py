"""Train and evaluate: python -m recns_tf.main DATASET ENCODER [--flag=value …].

`./run.sh` shows the datasets, encoders and samplers that exist.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from absl import app, flags, logging

from recns_tf import catalog, config
from recns_tf.errors import UserError


def main(words: list[str]) -> None:
    """Run the command line whose positional words are `words`."""
    if len(words) != 2:
        raise UserError(
            f"two words are needed, DATASET and ENCODER, not {len(words)}: "
            "for example './run.sh ml-100k lightgcn'."
        )
    catalog.find(catalog.DATASETS, "dataset", words[0])
    catalog.find(catalog.ENCODERS, "encoder", words[1])
    settings, workspace = config.from_flags(*words)

    # TensorFlow takes seconds to import: not before the command line is known to be sound.
    with silenced_stderr():
        from recns_tf.training import train_and_evaluate
    logging.set_verbosity(logging.WARNING)
    train_and_evaluate(settings, workspace)


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


def parse(arguments: list[str]) -> list[str]:
    """Parse the flags and return the command line without them.

    Raises:
        UserError: a flag is unknown, or its value is not of its type.
    """
    try:
        words: list[str] = flags.FLAGS(arguments)
    except flags.Error as error:
        raise UserError(f"{error}; './run.sh help' lists every flag.") from error
    return words


def run() -> None:
    """Entry point: turn what the user can mend into one line and a status other than 0."""
    try:
        arguments, positional = config.expand(sys.argv)
        config.define_flags()
        flags.adopt_module_key_flags(config)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        app.run(lambda words: main(words[1:] or positional), arguments, flags_parser=parse)
    except UserError as error:
        sys.exit(f"recns_tf: {error}")
    except BrokenPipeError:
        # The reader of our output is gone, as in "| head": nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        sys.exit(f"recns_tf: {error.filename or 'the system'}: {error.strerror or error}.")
    except KeyboardInterrupt:
        print("\nrecns_tf: interrupted; the same command goes on from here.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    run()
