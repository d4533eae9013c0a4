"""From a log to train, validation and test positives and exposures."""
