"""Malformed and damaged input, wrong flags and kills, drawn at random with fixed seeds."""

import os

LONG = os.environ.get("RECNS_TF_FUZZ") == "long"
"""Whether the long form of these tests runs, as by `./run.sh test fuzz`."""
