"""Goodness-of-fit tests for observed draws."""

import numpy as np
from scipy import stats


def chi_square(counts, probabilities) -> float:
    """Return the p-value of counts under a distribution; 0 if a cell of probability 0 has counts.

    Cells with an expected count below 5 are pooled with the next larger one.
    """
    counts = np.asarray(counts, dtype=float).ravel()
    probabilities = np.asarray(probabilities, dtype=float).ravel()
    if counts[probabilities == 0].any():
        return 0.0
    order = np.argsort(probabilities)
    order = order[probabilities[order] > 0]
    expected = probabilities[order] / probabilities.sum() * counts.sum()
    pooled = int(np.argmax(np.cumsum(expected) >= 5))
    observed = np.concatenate([[counts[order][: pooled + 1].sum()], counts[order][pooled + 1 :]])
    expected = np.concatenate([[expected[: pooled + 1].sum()], expected[pooled + 1 :]])
    assert expected.min() >= 5, "too few draws for a chi-square test"
    return 1.0 if len(expected) == 1 else float(stats.chisquare(observed, expected).pvalue)


def independence(table) -> float:
    """Return the p-value of a contingency table under independence."""
    return float(stats.chi2_contingency(np.asarray(table)).pvalue)
