"""RecNS in TensorFlow 2 / Keras 3: encoders, negative samplers and experiments.

"Region or Global? A Principle for Negative Sampling in Graph-based Recommendation",
Z. Yang et al., IEEE TKDE 2022. Section, equation and table numbers in the docstrings
of this package are that paper's.
"""

__version__ = "0.1.0"
