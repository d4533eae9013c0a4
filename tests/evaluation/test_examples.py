"""The examples in the docstrings of the evaluation package."""

import doctest

import numpy as np
import pytest
from scipy.sparse import csr_array

from recns_tf.evaluation import crossed_test, list_metrics, metrics, ranking, significance


@pytest.mark.parametrize("module", [crossed_test, list_metrics, metrics, ranking, significance])
def test_docstring_examples(module):
    result = doctest.testmod(module, extraglobs={"np": np, "csr_array": csr_array})
    assert result.attempted and not result.failed
