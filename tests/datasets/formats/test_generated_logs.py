"""What `prepare` keeps of a generated log is what was put in, whatever its format."""

from collections import Counter

import numpy as np
import pytest

from recns_tf.commands.prepare import make
from recns_tf.datasets import prepared
from recns_tf.datasets.preparation import Preparation
from recns_tf.interactions import to_pairs
from tests.datasets.formats.log_generator import generate
from tests.fuzz import LONG

NUM_LOGS = 500 if LONG else 60


@pytest.mark.parametrize("seed", range(NUM_LOGS))
def test_rows_are_kept_as_they_were_put_in(seed, tmp_path):
    (tmp_path / "in").mkdir()
    log = generate(seed, tmp_path / "in")
    settings = Preparation(name="t", valid=0.0, test=0.0, **log.flags)
    data, counts = make(settings, tmp_path / "t")

    with np.load(tmp_path / "t" / prepared.LOG) as file:
        stored = Counter(
            zip(
                file["user_ids"][file["users"]].tolist(),
                file["item_ids"][file["items"]].tolist(),
                file["positive"].tolist(),
                file["times"].tolist(),
                strict=True,
            )
        )
    assert stored == Counter(map(tuple, log.rows)), log.description

    positives = {(row.user, row.item) for row in log.rows if row.positive}
    exposed = {(row.user, row.item) for row in log.rows if not row.positive}
    assert pairs_of(data, data.train) == positives, log.description
    # --user_core=1 drops users without a positive.
    users = {user for user, _ in positives}
    assert pairs_of(data, data.exposed) == {
        pair for pair in exposed - positives if pair[0] in users
    }, log.description
    assert counts.rows == len(log.rows) + log.missing == sum(counts[1:])
    assert counts.missing == log.missing


def pairs_of(data, rows):
    users, items = to_pairs(rows).T
    return set(zip(data.user_ids[users].tolist(), data.item_ids[items].tolist(), strict=True))
