import numpy as np
import pytest
import tensorflow as tf

from recns_tf.config.config import Config
from recns_tf.samplers.ahns import AHNS
from recns_tf.samplers.base import SamplerContext
from recns_tf.samplers.dns import DNS
from tests.goodness_of_fit import chi_square
from tests.samplers import worlds

NUM_ITEMS = 11
POSITIVES = [0, 1, 2, 3]
"""Of the scores -2.5, 0, 1 and 4: the first one does not fit."""
SCORE = np.array([-2.5, 0.0, 1.0, 4.0, 0.3, 3.7, -1.4, 1.7, 0.9, 2.4, -0.2])
FREE = np.arange(NUM_ITEMS) >= len(POSITIVES)
POOL = worlds.unobserved([POSITIVES], NUM_ITEMS)
TABLES = worlds.tables([[1.0]], SCORE[:, None])
ALPHA, BETA, POWER, N = 1.5, 4.0, -2.0, 4


def law(target):
    """Return the law of the candidate nearest to a target."""
    return worlds.law_of_best(np.where(FREE, -np.abs(SCORE - target), np.nan), N)


def target_of(positive, alpha=ALPHA, beta=BETA, power=POWER):
    fit = SCORE[positive] + alpha
    return beta * fit ** (power + 1) if fit > 0 else 1e6


WRONG = {
    "the hardest": lambda positive: 1e6,
    "the easiest": lambda positive: -1e6,
    "p instead of p + 1": lambda positive: target_of(positive, power=POWER - 1),
    "harder for a better fit": lambda positive: target_of(positive, power=0),
    "without alpha": lambda positive: target_of(positive, alpha=1e-9),
    "without beta": lambda positive: target_of(positive, beta=1.0),
    "the same for all": lambda positive: BETA,
    "the positive's own score": lambda positive: SCORE[positive],
}


@pytest.mark.slow
def test_the_candidate_nearest_to_the_target_is_chosen():
    observed = {}
    for positive in POSITIVES:
        sampler = AHNS(4, POOL, N, alpha=ALPHA, beta=BETA, power=POWER)
        batch = worlds.batch(30_000, positive=positive)
        observed[positive], ids = worlds.counts(sampler, batch, TABLES, NUM_ITEMS)
        assert chi_square(observed[positive], law(target_of(positive))) > 1e-3
        assert not np.array_equal(ids[:, 0], ids[:, 1]), "every negative has its own candidates"
    for name, wrong in WRONG.items():
        p_values = [chi_square(observed[each], law(wrong(each))) for each in POSITIVES]
        assert min(p_values) < 1e-6, name


def test_a_misfitting_positive_gets_the_negatives_of_dns():
    batch = worlds.batch(2_000, positive=0)
    expected = worlds.sample(DNS(4, POOL, N), batch, TABLES)
    for alpha, beta, power in ((0.0, 0.1, -2.0), (2.5, 1e-9, -1.5), (1.0, 1e9, -10.0)):
        ours = worlds.sample(AHNS(4, POOL, N, alpha=alpha, beta=beta, power=power), batch, TABLES)
        np.testing.assert_array_equal(ours.ids, expected.ids)
        assert ours.statistics["clamped"] == 1
        assert np.isfinite(ours.statistics["hardness"])


@pytest.mark.parametrize("power", [-1.0, -1.25, -2.0, -3.0, -10.0])
def test_the_target_is_a_number_and_never_increases(power):
    sampler = AHNS(1, POOL, 2, alpha=1.0, beta=0.1, power=power)
    score = np.concatenate([[-1e30, -50, -1.5, -1, np.nextafter(-1, 0)], np.linspace(-0.99, 50)])
    found = sampler.target(tf.constant(score, tf.float32)).numpy()
    assert not np.isnan(found).any() and (found >= 0).all()
    assert (found[1:] <= found[:-1]).all()
    np.testing.assert_allclose(found[5:], 0.1 * (score[5:] + 1) ** (power + 1), rtol=1e-3)
    if power < -1:
        assert np.isinf(found[:4]).all()


@pytest.mark.slow
@pytest.mark.parametrize("power", [-2.0, -10.0])
def test_a_better_fit_never_gives_a_harder_negative(power):
    """The candidates are the same, as the seed is; huge targets must not tie them."""
    before = np.inf
    for positive in np.concatenate([[-9.0], np.linspace(-1, -0.9, 20), np.linspace(-0.8, 60)]):
        score = np.append(SCORE, positive)
        pool = worlds.unobserved([[*POSITIVES, NUM_ITEMS]], NUM_ITEMS + 1)
        tables = worlds.tables([[1.0]], score[:, None])
        sampler = AHNS(3, pool, N, alpha=1.0, beta=2.0, power=power)
        batch = worlds.batch(300, positive=NUM_ITEMS)
        chosen = score[sampler.sample(batch, tables, batch.seed).ids.numpy()]
        assert (chosen <= before).all()
        before = chosen


def test_clamped_is_a_share_of_pairs():
    batch = worlds.batch(8)._replace(positives=tf.constant([0, 1, 0, 2, 3, 1, 1, 1]))
    for alpha, share in ((1.0, 0.25), (0.0, 0.75), (3.0, 0.0)):
        found = worlds.sample(AHNS(2, POOL, N, alpha=alpha), batch, TABLES)
        assert found.statistics["clamped"] == share


def test_flags_are_read(toy):
    config = Config(
        sampler="ahns", num_negatives=2, num_candidates=7, ahns_alpha=0.5, ahns_beta=0.25,
        ahns_power=-3.0,
    )  # fmt: skip
    sampler = AHNS.from_settings(config, SamplerContext(toy, POOL, 8))
    assert (sampler.num_negatives, sampler.num_candidates) == (2, 7)
    assert (sampler.alpha, sampler.beta, sampler.power) == (0.5, 0.25, -3.0)
    assert float(sampler.target(tf.constant(1.5))) == pytest.approx(0.25 / 4)
