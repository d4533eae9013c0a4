"""Sweeps of runs: the paper's tables and figures, ablations, and hyperparameter tuning.

Vocabulary:
    cell: one run, that is, a folder name and all settings including the seed.
    point: the cells of one value of the varied setting and one encoder, one per seed.
    panel: the points of one varied setting. An experiment (a table or figure) has several panels.
    line: a point's finished cells with their results; one row of a table.
"""
