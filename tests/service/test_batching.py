"""Batches of concurrent queries, and their limits."""

import asyncio
import threading
import time

import pytest

from recns_tf.service import batching
from recns_tf.service.batching import Batcher, Busy


def test_queries_that_wait_are_answered_together():
    batches = []

    def answer(batch):
        batches.append(list(batch))
        time.sleep(0.05)
        return [[name.upper()] for name in batch]

    sizes = []

    async def main():
        batcher = Batcher(answer, sizes.append)
        first = asyncio.create_task(batcher.submit(["a"]))
        await asyncio.sleep(0.01)
        others = [asyncio.create_task(batcher.submit(each)) for each in (["b", "c"], ["d"], ["e"])]
        return await asyncio.gather(first, *others)

    assert asyncio.run(main()) == [[["A"]], [["B"], ["C"]], [["D"]], [["E"]]]
    assert batches == [["a"], ["b", "c", "d", "e"]] and sizes == [1, 4]


def test_batches_are_no_larger_than_the_limit(monkeypatch):
    monkeypatch.setattr(batching, "BATCH", 3)
    sizes = []

    async def main():
        return await Batcher(lambda batch: [[each] for each in batch], sizes.append).submit(
            "abcdefg"
        )

    assert asyncio.run(main()) == [[each] for each in "abcdefg"]
    assert sizes == [3, 3, 1]


def test_one_batch_is_computed_at_a_time():
    running, most = 0, 0
    lock = threading.Lock()

    def answer(batch):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1
        return [[each] for each in batch]

    async def main():
        batcher = Batcher(answer)
        for _ in range(5):
            await asyncio.gather(*(batcher.submit([number]) for number in range(4)))

    asyncio.run(main())
    assert most == 1


def test_an_error_reaches_those_who_wait_for_its_batch_alone():
    def answer(batch):
        if "bad" in batch:
            raise ZeroDivisionError
        return [[each] for each in batch]

    async def main():
        batcher = Batcher(answer)
        with pytest.raises(ZeroDivisionError):
            await batcher.submit(["bad"])
        return await batcher.submit(["good"])

    assert asyncio.run(main()) == [["good"]]


def test_too_many_waiting_queries_are_refused(monkeypatch):
    monkeypatch.setattr(batching, "WAITING", 3)
    release = threading.Event()

    def answer(batch):
        release.wait(5)
        return [[each] for each in batch]

    async def main():
        batcher = Batcher(answer)
        first = asyncio.create_task(batcher.submit(["a"]))
        await asyncio.sleep(0.01)
        waiting = asyncio.create_task(batcher.submit(["b", "c", "d"]))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await batcher.submit(["e"])
        release.set()
        return await asyncio.gather(first, waiting)

    assert asyncio.run(main()) == [[["a"]], [["b"], ["c"], ["d"]]]


def test_a_client_that_goes_away_is_not_answered():
    seen = []
    release = threading.Event()

    def answer(batch):
        seen.extend(batch)
        release.wait(5)
        return [[each] for each in batch]

    async def main():
        batcher = Batcher(answer)
        first = asyncio.create_task(batcher.submit(["a"]))
        await asyncio.sleep(0.01)
        gone = asyncio.create_task(batcher.submit(["gone"]))
        stays = asyncio.create_task(batcher.submit(["stays"]))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        release.set()
        return await asyncio.gather(first, stays)

    assert asyncio.run(main()) == [[["a"]], [["stays"]]]
    assert seen == ["a", "stays"]
