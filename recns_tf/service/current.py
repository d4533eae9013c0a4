"""The run that a service answers with, which another one may replace while it runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from recns_tf.config.search import SearchSettings
from recns_tf.errors import UserError, first_line
from recns_tf.runs.folder import RunFolder
from recns_tf.service.batching import Batcher
from recns_tf.service.engine import EXACT, USERS, Engine, Query
from recns_tf.service.explain import Explainer
from recns_tf.service.titles import Titles, own_titles

LOG = logging.getLogger(__name__)

Identity = tuple[str, int, int, int]
"""What distinguishes the finished run behind a path from one that was there before."""


class Loaded:
    """An engine and the queries that wait for it.

    Attributes:
        engine: the engine.
        batcher: answers queries with it.
        explainer: answers lookups with it.
        since: time at which it was loaded, in seconds since 1970.
    """

    def __init__(self, engine: Engine, titles: Titles, observe: Callable[[int], None]):
        self.engine = engine
        self.batcher = Batcher(engine.answer, observe)
        self.explainer = Explainer(engine, titles)
        self.since = time.time()


class Current:
    """Loads the run of a folder, and loads it again when the folder holds another finished run.

    The folder may be a link. Requests that have begun are answered by the run they began with, so
    none is lost. A run that cannot be loaded leaves the one before in place.

    Args:
        path: the run's folder, or a link to it.
        data_dir: folder of the datasets.
        histories: whether to answer histories; see `Engine`.
        observe: called with the size of each batch of queries.
        titles: of items; None for those that the dataset comes with.
        search: how to search the items; see `Engine`.

    Raises:
        UserError: the run cannot be loaded.
    """

    def __init__(
        self,
        path: Path,
        data_dir: str | Path = "data",
        histories: bool = True,
        observe: Callable[[int], None] = lambda size: None,
        titles: Titles | None = None,
        search: SearchSettings = EXACT,
    ):
        self.path = path
        self.titles = titles
        self.search = search
        self.data_dir = data_dir
        self.histories = histories
        self.observe = observe
        self.identity = identity_of(path)
        self.problem = ""
        self.loaded = self.load()

    def load(self) -> Loaded:
        """Return the run that the folder holds now."""
        engine = Engine(self.path.resolve(), self.data_dir, self.histories, self.search)
        # The first search compiles; no client should wait for that.
        engine.answer([Query(USERS, (0,), 1)])
        titles = self.titles
        if titles is None:
            titles = own_titles(engine.data.name, self.data_dir)
        return Loaded(engine, titles, self.observe)

    async def refresh(self) -> bool:
        """Load the run if the folder holds another one; return whether it was replaced."""
        found = await asyncio.to_thread(identity_of, self.path)
        if found is None or found == self.identity:
            return False
        try:
            loaded = await asyncio.to_thread(self.load)
        except UserError as error:
            self.note(str(error))
            return False
        except Exception as error:
            self.note(f"{first_line(error)}.")
            return False
        self.loaded, self.identity, self.problem = loaded, found, ""
        LOG.info("now serving %s", loaded.engine.run)
        return True

    def note(self, problem: str) -> None:
        """Keep why a run could not be loaded, and log it once."""
        if problem != self.problem:
            LOG.warning("%s Still serving %s.", problem, self.loaded.engine.run)
        self.problem = problem

    async def watch(self, seconds: float) -> None:
        """Refresh every so many seconds, for ever."""
        while True:
            await asyncio.sleep(seconds)
            await self.refresh()


def identity_of(path: Path) -> Identity | None:
    """Return the identity of the finished run behind a path, or None if there is none."""
    try:
        target = path.resolve()
        about = RunFolder(target).results.stat()
    except OSError:
        return None
    return str(target), about.st_ino, about.st_mtime_ns, about.st_size
