"""The report on any set of runs: one self-contained HTML page."""
