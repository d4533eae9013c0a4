"""Negative sampling for graph-based recommendation in TensorFlow 2 and Keras 3.

An implementation of RecNS and of the samplers it is compared with: Z. Yang et al., "Region or
Global? A Principle for Negative Sampling in Graph-based Recommendation", IEEE TKDE 2022. Section,
equation and table numbers in docstrings are those of this paper unless another source is named.
"""

__version__ = "0.2.0"
