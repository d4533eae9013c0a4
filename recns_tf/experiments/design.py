"""The points that the tuning of every sampler starts with: the flagfiles', then a Halton sequence.

All samplers get the same values of the settings that they share, so that none has better luck with
its first trials. Source: J. H. Halton, "On the efficiency of certain quasi-random sequences of
points in evaluating multi-dimensional integrals", Numerische Mathematik 2, 1960. The sequence is
not scrambled: a value depends only on the number of its point and on its dimension.
"""

from __future__ import annotations

from collections.abc import Sequence

from scipy.stats import qmc

SIZE = 12
"""Number of points, including that of the flagfiles."""

SHARED = ("learning_rate", "l2")
"""The settings that all samplers share. They take the first dimensions of the sequence."""


def point(number: int, names: Sequence[str]) -> dict[str, float]:
    """Return a point of the sequence: a number in the open unit interval for each setting.

    Args:
        number: 1 to SIZE - 1. The flagfiles' point, number 0, takes the place of the first of the
            sequence, which has their learning rate, too.
        names: the tuned settings. Those of SHARED get the same values with any others beside them.

    Example:
        >>> point(1, ["learning_rate", "l2"])
        {'learning_rate': 0.25, 'l2': 0.6666666666666666}
    """
    own = [name for name in names if name not in SHARED]
    dimensions = [*SHARED, *own]
    # SciPy's sequence begins with the origin.
    sequence = qmc.Halton(len(dimensions), scramble=False).fast_forward(number + 1)
    values = dict(zip(dimensions, sequence.random()[0].tolist(), strict=True))
    return {name: values[name] for name in names}


def search_method(trials: int) -> str:
    """Return the words for a search of so many trials."""
    return "quasi-random search" if trials <= SIZE else "quasi-random design, then TPE"
