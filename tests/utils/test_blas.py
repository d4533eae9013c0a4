"""NumPy's matrix products use one thread while a block asks for it."""

import numpy as np
import pytest

from recns_tf.utils import blas


def test_the_number_of_threads_is_restored_after_the_last_block():
    calls = []
    threads = blas.Threads(lambda: 7, calls.append)
    threads.enter()
    threads.enter()
    threads.leave()
    assert calls == [1]
    threads.leave()
    assert calls == [1, 7]


def test_numpy_obeys(monkeypatch):
    found = blas.threads()
    if found is None:
        pytest.skip("NumPy does not use OpenBLAS here")
    before = found.get()
    with pytest.raises(ValueError), blas.one_thread_per_product():
        assert found.get() == 1
        raise ValueError
    assert found.get() == before
    monkeypatch.setattr(blas, "threads", lambda: None)
    with blas.one_thread_per_product():
        assert found.get() == before
        assert (np.ones((3, 2)) @ np.ones((2, 3))).sum() == 18
