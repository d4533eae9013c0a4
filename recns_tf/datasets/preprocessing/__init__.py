"""Convert a log to train, validation and test positives and exposed items."""
