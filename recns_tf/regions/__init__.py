"""The three-region principle (§3.3): the item sets that negatives are drawn from."""
