"""Closed-form recommenders without a graph or a sampler, as baselines.

A baseline is a function `fits(train, settings)` that returns an iterator with one `Fit` per choice
of hyperparameters. Each is in its own module and is listed in registry.BASELINE_MODELS.
"""
