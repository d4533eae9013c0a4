"""Train and evaluate: python -m recns_tf.main DATASET ENCODER [--flag=value …].

`./run.sh` shows the datasets, encoders and samplers that exist.
"""

from __future__ import annotations

import sys

from absl import app, flags

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
    from recns_tf.training import train_and_evaluate

    train_and_evaluate(settings, workspace)


def run() -> None:
    """Entry point: parse the flags, and turn a UserError into one line and exit status 1."""
    try:
        arguments, positional = config.expand(sys.argv)
        config.define_flags()
        flags.adopt_module_key_flags(config)
        app.run(lambda words: main(words[1:] or positional), argv=arguments)
    except UserError as error:
        sys.exit(f"recns_tf: {error}")
    except KeyboardInterrupt:
        sys.exit("\nrecns_tf: interrupted; the same command resumes after the last whole epoch.")


if __name__ == "__main__":
    run()
