import numpy as np

from recns_tf.datasets.cold_start import ColdStart, cold_start, sentences
from recns_tf.interactions import make_interactions


def test_cold_users_items_and_pairs_are_counted_by_part():
    """Users 2, 3 and 4 have no train positive, user 4 none at all; nor have items 2, 3, 4 and 5."""
    data = make_interactions(
        "cold",
        train=[[0, 0], [1, 1]],
        valid=[[0, 2], [1, 2], [2, 0], [2, 2]],
        test=[[0, 3], [0, 4], [2, 1], [3, 4]],
        exposed=[[0, 5]],
        user_ids=np.arange(5),
        item_ids=np.arange(6),
        source={},
    )
    found = cold_start(data)
    assert found == {"valid": ColdStart(1, 1, 3), "test": ColdStart(2, 2, 3)}
    assert sentences(found) == (
        "1 users of valid and 2 of test have no train positive",
        "1 items of valid (in 3 pairs) and 2 of test (in 3 pairs) have no train positive",
    )
