"""Run the tests of a checkout with pytest. All arguments are passed to pytest.

A leading `fast` skips the tests marked as slow. A leading `fuzz` runs the tests of malformed and
damaged input, wrong flags, kills and full disks alone, in their long form, which takes hours.
"""

from __future__ import annotations

import importlib.util
import os
import sys

from recns_tf.commands.app import Call, Command
from recns_tf.errors import UserError
from recns_tf.utils.program import PACKAGE

FAST = ("-m", "not slow")
FUZZ = (
    "tests/fuzz",
    "tests/datasets/formats/test_generated_logs.py",
    "tests/utils/test_failures.py",
)
FORM = "RECNS_TF_FUZZ"
"""The environment variable that chooses the long form of the tests in FUZZ."""


def main(call: Call) -> None:
    """Run pytest in the checkout, and exit with its status."""
    checkout = PACKAGE.parent
    if not (checkout / "tests").is_dir():
        raise UserError("the tests come with a checkout of the project, not with the package.")
    if importlib.util.find_spec("pytest") is None:
        raise UserError(
            "pytest is not installed: run './run.sh test', or install the extra 'test'."
        )
    arguments = call.arguments
    if arguments[:1] == ["fast"]:
        arguments = [*FAST, *arguments[1:]]
    elif arguments[:1] == ["fuzz"]:
        os.environ[FORM] = "long"
        arguments = [*FUZZ, *arguments[1:]]
    os.chdir(checkout)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])


COMMAND = Command(
    about=__doc__ or "",
    words="[fast|fuzz] [pytest arguments…]",
    example="fast -k pipeline",
    settings=(),
    run=main,
    raw=True,
)
