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


def run() -> None:
    """Entry point: parse the flags, and turn a UserError into one line and exit status 1."""
    try:
        arguments, positional = config.expand(sys.argv)
        config.define_flags()
        flags.adopt_module_key_flags(config)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        app.run(lambda words: main(words[1:] or positional), argv=arguments)
    except UserError as error:
        sys.exit(f"recns_tf: {error}")
    except KeyboardInterrupt:
        sys.exit("\nrecns_tf: interrupted; the same command resumes after the last whole epoch.")


if __name__ == "__main__":
    run()
