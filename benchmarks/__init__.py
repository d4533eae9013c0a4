"""Benchmarks; `./run.sh bench` runs them all."""
