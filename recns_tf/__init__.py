"""Negative sampling for graph-based recommendation in TensorFlow 2 and Keras 3.

An implementation of RecNS and of the samplers it is compared with: Z. Yang et al., "Region or
Global? A Principle for Negative Sampling in Graph-based Recommendation", IEEE TKDE 2022. Section,
equation and table numbers in docstrings are those of this paper unless another source is named.

    import recns_tf as rt

    data = rt.Interactions.from_frame(clicks, user="user", item="item")
    model = rt.train(data, encoder="lightgcn", sampler="recns", epochs=50)
    model.recommend(["u7", "u9"], k=10)

The names in __all__ are the public interface. They are imported on first use, and TensorFlow not
before it is needed.
"""

import pkgutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recns_tf.api import load, train
    from recns_tf.config.config import Config, Workspace
    from recns_tf.encoders.base import Encoder
    from recns_tf.errors import UserError
    from recns_tf.interactions import Interactions
    from recns_tf.samplers.base import Choice, Sampler
    from recns_tf.serving.recommender import Recommender

__version__ = "0.2.0"

__all__ = [
    "Choice",
    "Config",
    "Encoder",
    "Interactions",
    "Recommender",
    "Sampler",
    "UserError",
    "Workspace",
    "load",
    "train",
]

MODULES = {
    "Choice": "samplers.base",
    "Config": "config.config",
    "Encoder": "encoders.base",
    "Interactions": "interactions",
    "Recommender": "serving.recommender",
    "Sampler": "samplers.base",
    "UserError": "errors",
    "Workspace": "config.config",
    "load": "api",
    "train": "api",
}
"""The module of each public name."""


def __getattr__(name: str) -> Any:
    """Return a public name, imported on first use."""
    if name not in MODULES:
        raise AttributeError(f"module 'recns_tf' has no attribute '{name}'")
    value = globals()[name] = pkgutil.resolve_name(f"recns_tf.{MODULES[name]}:{name}")
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return [*__all__, "__version__"]
