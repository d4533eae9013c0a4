"""Recommenders in closed form, without a graph or a sampler, to keep the others honest.

A baseline is a function `fits(train, settings)` that returns an iterator of a `Fit` for each choice
of its hyperparameters, and is named in the catalogue. One file each.
"""
