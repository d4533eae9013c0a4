"""Runs the program up to the end of its first training step, and prints when each part was over.

Run: python -m benchmarks.first_step START DATASET ENCODER [--flag=value …]

START is the `time.perf_counter()` of the process that starts this one. The output is one line of
JSON with two keys. `ends` has for each part the seconds from the start to its end, of the clock and
of the processor; `gigabytes` is the peak memory.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.memory import peak_gigabytes

FIRST, SECOND = "until the first step", "until the second step"
ends: dict[str, tuple[float, float]] = {}


def end(name: str) -> None:
    """Note that a part ends now, the first time that it does."""
    ends.setdefault(name, (time.perf_counter() - float(sys.argv[1]), time.process_time()))


def ending(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function wrapped so that the end of its first call is noted."""

    def noted(*arguments: Any, **named: Any) -> Any:
        found = function(*arguments, **named)
        end(name)
        return found

    return noted


def one_step(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that takes a step, prints the report and ends the process."""

    def taken(*arguments: Any) -> None:
        end(FIRST)
        step(*arguments)
        end(SECOND)
        found = {"ends": ends, "gigabytes": peak_gigabytes()}
        sys.__stdout__.write(json.dumps(found) + "\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]
        os._exit(0)

    return taken


def watch() -> None:
    """Note the ends of the parts of the command `train`."""
    from recns_tf.commands import train as command

    end("until flags are read")
    lean = command.lean_imports

    @contextmanager
    def watched(*unused: str) -> Iterator[None]:
        with lean(*unused):
            yield
        end("until TensorFlow is imported")
        from recns_tf.training import train
        from recns_tf.training.sampled_rec import SampledRec

        make = SampledRec.make_train_function

        def make_one_step(model: SampledRec, force: bool = False) -> None:
            make(model, force)
            model.train_function = one_step(model.train_function)

        train.build = ending("until the model is built", train.build)
        SampledRec.make_train_function = make_one_step

    command.load_dataset = ending("until data are read", command.load_dataset)
    command.lean_imports = watched


if __name__ == "__main__":
    watch()
    from recns_tf.main import main

    main(["train", *sys.argv[2:], "--quiet"])
