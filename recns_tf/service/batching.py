"""Answers requests that arrive together in one search.

While one batch is computed, further queries wait and become the next batch. No query waits for
others to arrive, and a busy service makes larger batches, which take less time per query.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from recns_tf.service.engine import Query, Scored

BATCH = 64
"""Queries answered together, at most."""

WAITING = 2_000
"""Queries that may wait; more are refused."""

Answer = Callable[[Sequence[Query]], list[list[Scored]]]


class Busy(Exception):
    """Too many queries are waiting."""


class Batcher:
    """Collects queries, and has them answered by one thread at a time.

    Args:
        answer: answers several queries.
        observe: called with the size of each batch.
    """

    def __init__(self, answer: Answer, observe: Callable[[int], None] = lambda size: None):
        self.answer = answer
        self.observe = observe
        self.waiting: deque[tuple[Query, asyncio.Future[list[Scored]]]] = deque()
        self.worker: asyncio.Task[None] | None = None

    async def submit(self, queries: Sequence[Query]) -> list[list[Scored]]:
        """Return the list of each query.

        Raises:
            Busy: too many queries are waiting.
        """
        if len(self.waiting) + len(queries) > WAITING:
            raise Busy
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in queries]
        self.waiting.extend(zip(queries, futures, strict=True))
        if self.worker is None or self.worker.done():
            self.worker = loop.create_task(self.work())
        return list(await asyncio.gather(*futures))

    async def work(self) -> None:
        """Answer what waits, batch by batch, until nothing is left."""
        while self.waiting:
            batch = [self.waiting.popleft() for _ in range(min(BATCH, len(self.waiting)))]
            # A client that has gone away needs no answer.
            batch = [(query, future) for query, future in batch if not future.done()]
            if not batch:
                continue
            self.observe(len(batch))
            try:
                answers = await asyncio.to_thread(self.answer, [query for query, _ in batch])
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), found in zip(batch, answers, strict=True):
                    if not future.done():
                        future.set_result(found)
