"""Names of metrics, and the table on the screen."""

from recns_tf.evaluation.display import label, main_metrics, metric_lines, recorded_metrics

VALID = {"recall@5": 0.1, "recall@20": 0.25, "popularity@20": 1234.567, "gini@20": 0.5, "users": 9}


def test_the_table_has_a_row_per_metric_and_a_column_per_part():
    test = VALID | {"recall@20": 1.0, "users": 10, "saturated_users@20": 3, "warm": {"users": 1}}
    lines = metric_lines(
        {"valid": VALID, "test": test, "test warm": None, "paper": {"table": "2", "recall@20": 0.3}}
    )
    assert lines == [
        "                      valid        test       paper",
        "Recall@5             0.1000      0.1000            ",
        "Recall@20            0.2500      1.0000      0.3000",
        "Gini@20              0.5000      0.5000            ",
        "Popularity@20       1234.57     1234.57            ",
        "users                     9          10            ",
    ]


def test_the_widest_table_fits_into_80_columns():
    part = {f"{name}@1000": 0.5 for name in ("precision", "popularity")} | {"users": 1_000_000}
    lines = metric_lines(dict.fromkeys(("valid", "test", "test warm", "paper"), part))
    assert len(lines) == 4 and max(map(len, lines)) <= 80


def test_a_part_without_users_has_no_column():
    assert "valid" not in metric_lines({"valid": VALID | {"users": 0}, "test": VALID})[0]


def test_metrics_are_sorted_by_kind_and_k_and_other_keys_are_left_out():
    keys = [
        "gini@5",
        "recall@10",
        "users",
        "saturated_users@5",
        "recall@5",
        "warm",
        "ndcg@5",
        "x@5",
    ]
    parts = [dict.fromkeys(keys, 1), {"map@5": 1}]
    assert recorded_metrics(parts) == ["recall@5", "recall@10", "ndcg@5", "map@5", "gini@5"]
    assert [label(key) for key in ("hr@20", "mrr@5", "coverage@1")] == [
        "HR@20",
        "MRR@5",
        "Coverage@1",
    ]


def test_main_metrics_are_at_the_largest_k_of_each_part():
    old = {"recall@20": 0, "ndcg@20": 0, "hr@20": 0}
    new = {"recall@5": 0, "ndcg@5": 0, "recall@10": 0, "gini@30": 0}
    assert main_metrics([old]) == ["recall@20", "ndcg@20", "hr@20"]
    both = ["recall@10", "recall@20", "ndcg@10", "ndcg@20", "hr@10", "hr@20"]
    assert main_metrics([old, new, old]) == both
    assert main_metrics([{}, {"users": 0}]) == []
