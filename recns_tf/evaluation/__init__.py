"""Full ranking over all items, ranking metrics, and paired significance tests."""
