"""Sweeps of ordinary runs: the paper's tables and figures, ablations, and tuning."""
