"""Full ranking, ranking metrics, and tests over users."""
