"""What reads the files of a log: this process, or tasks on a Ray cluster."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from recns_tf.config.cluster import RAY, ClusterSettings
from recns_tf.datasets.formats.sources import Map
from recns_tf.utils.ray_tasks import connected, ordered_results


@contextmanager
def engine(settings: ClusterSettings) -> Iterator[Map]:
    """Return what applies a function to each file, for the length of the block.

    Raises:
        UserError: Ray is not installed, or no cluster can be reached.

    Example:
        >>> with engine(ClusterSettings(engine="ray")) as each:
        ...     log = read_events(sources, events, each=each)
    """
    if settings.engine == RAY:
        settings.require_packages()
        with connected(settings.address):
            yield on_ray
    else:
        yield map


def on_ray(function: Callable[[Any], Any], elements: Sequence[Any]) -> Iterable[Any]:
    """Apply a function to each element in a task of its own, and return the results in order."""
    shared = (function, os.getcwd())
    results = ordered_results(call, elements, shared=shared, description="files", unit="file")
    # Arrays in results are views that would keep Ray's store full.
    return map(copy.deepcopy, results)


def call(shared: tuple[Callable[[Any], Any], str], element: Any) -> Any:
    """Apply a function in the folder in which the command runs, if there is one on this machine."""
    function, folder = shared
    with suppress(OSError):
        os.chdir(folder)
    return function(element)
