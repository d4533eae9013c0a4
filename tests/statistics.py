"""Goodness of fit of observed draws."""

import numpy as np
from scipy import stats


def chi_square(counts, probabilities) -> float:
    """Return the p-value of counts under a law; 0 where a forbidden cell was hit."""
    counts = np.asarray(counts, dtype=float).ravel()
    probabilities = np.asarray(probabilities, dtype=float).ravel()
    possible = probabilities > 0
    if counts[~possible].any():
        return 0.0
    if possible.sum() == 1:
        return 1.0
    expected = probabilities[possible] / probabilities.sum() * counts.sum()
    assert expected.min() >= 5, "too few draws for a chi-square test"
    return float(stats.chisquare(counts[possible], expected).pvalue)


def independence(table) -> float:
    """Return the p-value of a contingency table under independence."""
    return float(stats.chi2_contingency(np.asarray(table)).pvalue)
