"""Measurements of a dataset: degrees, coverage of its regions, leaks, and pictures of them."""
