"""A world of users and items with planted preference, calibrated on Zhihu.

Degrees follow those measured on the authors' published Zhihu data: items by interpolating its
quantiles log-linearly (they are no power law), users by its log-normal law. User u draws item i
at the rate w_i * exp(1.25 z_u.v_i), z_u uniform on the unit sphere of R^4 and v_i normal in R^4,
so that what is popular and what a user likes both count.

Drawing without replacement flattens the head, and items of long v_i are drawn more often than
their weight says. So the weights w_i are not the degrees aimed at: from these, three fixed-point
iterations w_i <- w_i * aim_i / expected_i follow. At Zhihu's size the expected degrees then miss
their aims by 0.03 % (root mean square of the logarithm) and not by 42 %, and the 99 % quantile of
the degrees drawn by 2 % and not by 8 %. Some 4 % of the items get no click, where Zhihu's all have
one: chance leaves out items that expect one or two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recns_tf.datasets.synthetic.weighted_sampling import Rates

DIM = 4
STRENGTH = 1.25
EXPOSURE_WEIGHT_POWER = 0.85
EXPOSURE_STRENGTH = 0.75 * STRENGTH

ITEM_LEVELS = (0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1)
ITEM_DEGREES = (1, 1, 1, 2, 5, 14, 64, 202, 349, 792, 1_800, 3_460)
USER_SIGMA = 0.644
USER_LOWEST, USER_HIGHEST = 5 / 205.1, 2_031 / 205.1
"""Bounds of user degrees as multiples of their mean."""
EXPOSURE_SIGMA = 0.5
MOST_USERS = 0.5
"""Share of users that the most popular item is meant for, at most."""

ITERATIONS = 3
ANGLES, DEGREES = 8, 10


@dataclass(frozen=True)
class Shape:
    """Sizes of a world.

    Attributes:
        num_users, num_items: of the graph.
        num_clicks: positives, at least one a user and at most all pairs.
        num_exposures: pairs shown and not clicked, at most all that are left.
    """

    num_users: int
    num_items: int
    num_clicks: int
    num_exposures: int


class World(NamedTuple):
    """All that is known of a world before anything is drawn.

    Attributes:
        clicks, exposures: int64 [U], how many items each user clicks and is shown besides.
        click_rates, exposure_rates: at which they are drawn.
    """

    clicks: NDArray[np.int64]
    exposures: NDArray[np.int64]
    click_rates: Rates
    exposure_rates: Rates


def plant(shape: Shape, seeds: np.random.SeedSequence) -> World:
    """Return the world of a shape; the same seeds plant the same."""
    degree_rng, item_rng, taste_rng = map(np.random.default_rng, seeds.spawn(3))
    mean = shape.num_clicks / shape.num_users
    clicks = whole_shares(
        degree_rng.lognormal(0.0, USER_SIGMA, shape.num_users),
        shape.num_clicks,
        np.full(shape.num_users, max(1.0, np.floor(USER_LOWEST * mean))),
        np.full(shape.num_users, min(shape.num_items, np.ceil(USER_HIGHEST * mean))),
    )
    exposures = whole_shares(
        clicks * degree_rng.lognormal(0.0, EXPOSURE_SIGMA, shape.num_users),
        shape.num_exposures,
        np.zeros(shape.num_users),
        (shape.num_items - clicks).astype(np.float64),
    )
    tastes = taste_rng.standard_normal((shape.num_users, DIM))
    tastes /= np.linalg.norm(tastes, axis=1, keepdims=True)
    traits = taste_rng.standard_normal((shape.num_items, DIM))
    aims = item_rng.permutation(item_aims(shape))
    weights = calibrated(aims, STRENGTH * np.linalg.norm(traits, axis=1), clicks)
    return World(
        clicks,
        exposures,
        Rates(weights, tastes, traits, STRENGTH),
        Rates(weights**EXPOSURE_WEIGHT_POWER, tastes, traits, EXPOSURE_STRENGTH),
    )


def item_aims(shape: Shape) -> NDArray[np.float64]:
    """Return the item degrees to aim at, float64 [I], ascending; they sum to the clicks."""
    levels = (np.arange(shape.num_items) + 0.5) / shape.num_items
    degrees = np.exp(np.interp(levels, ITEM_LEVELS, np.log(ITEM_DEGREES)))
    mean = shape.num_clicks / shape.num_items
    most = max(MOST_USERS * shape.num_users, (mean + shape.num_users) / 2)
    return scaled(degrees, shape.num_clicks, np.zeros(len(degrees)), np.full(len(degrees), most))


def scaled(
    sizes: NDArray[np.float64],
    total: float,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return `sizes` times one factor, clipped to [low, high], such that they sum to `total`.

    Args:
        sizes: float64 [n], above 0.
        total: from the sum of `low` to that of `high`.
        low, high: float64 [n].
    """
    bottom, top = 0.0, float(np.max(high / sizes))
    for _ in range(100):
        middle = (bottom + top) / 2
        if np.clip(sizes * middle, low, high).sum() < total:
            bottom = middle
        else:
            top = middle
    return np.clip(sizes * top, low, high)


def whole_shares(
    sizes: NDArray[np.float64],
    total: int,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return `scaled` in whole numbers, int64 [n], which sum to `total` exactly.

    All are rounded down, and the largest remainders up again; `low` and `high` are whole.
    """
    exact = scaled(sizes, total, low, high)
    shares = np.floor(exact).astype(np.int64)
    lacking = total - int(shares.sum())
    remainder = np.where(shares < high, exact - shares, -1.0)
    shares[np.argsort(-remainder, kind="stable")[:lacking]] += 1
    return shares


def calibrated(
    aims: NDArray[np.float64], reaches: NDArray[np.float64], clicks: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return weights, float64 [I], at which the expected degrees of items are near `aims`.

    Args:
        aims: float64 [I], above 0.
        reaches: float64 [I], strength times the length of each item's trait.
        clicks: int64 [U], draws of each user.
    """
    weights = aims.copy()
    for _ in range(ITERATIONS):
        weights *= aims / expected_degrees(weights, reaches, clicks)
    return weights


def expected_degrees(
    weights: NDArray[np.float64], reaches: NDArray[np.float64], clicks: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return how many users are expected to draw each item, float64 [I].

    In successive sampling a user of n draws has item i with probability near 1 - exp(-t * rate),
    where t is such that these sum to n. The mean over users is one over the angle between taste
    and trait, by Gauss' quadrature for the sphere of R^4, and over some quantiles of n.

    Args:
        weights: float64 [I].
        reaches: float64 [I], strength times the length of each item's trait.
        clicks: int64 [U].
    """
    angles = np.arange(1, ANGLES + 1) * np.pi / (ANGLES + 1)
    shares = np.sin(angles) ** 2 / (np.sin(angles) ** 2).sum()
    rates = weights[:, None] * np.exp(reaches[:, None] * np.cos(angles))
    quantiles = np.quantile(clicks, (np.arange(DEGREES) + 0.5) / DEGREES)
    quantiles *= clicks.mean() / quantiles.mean()
    degrees = np.zeros(len(weights))
    for draws in np.minimum(quantiles, 0.95 * len(weights)):
        time, missing = 0.0, float(draws)
        # Newton's method climbs to the root from below: the sum is concave in time.
        while missing > 1e-4 * draws:
            missed = np.exp(-time * rates)
            slope = ((rates * missed) @ shares).sum()
            missing = draws - ((1 - missed) @ shares).sum()
            time += missing / slope
        degrees += (1 - np.exp(-time * rates)) @ shares
    return degrees * len(clicks) / DEGREES
