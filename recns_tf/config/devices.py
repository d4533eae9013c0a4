"""Settings of the devices that train a model."""

from __future__ import annotations

import dataclasses

from recns_tf import registry
from recns_tf.config.flags import Checked, one_of, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceSettings(Checked):
    """How a training step is computed; results agree up to rounding, or in law."""

    kernels: str = option(
        "auto",
        "implementation of draws, searches and products; numba: compiled loops, on CPUs alone; "
        "tensorflow: TensorFlow's operations, on any device; auto: tensorflow where there is a GPU",
        one_of(*registry.KERNELS),
    )
    sparse_engine: str = option(
        "csr",
        "sparse products of a step; csr: TensorFlow's CSR kernels, which are not public; coo: "
        "public operations, slower on CPUs",
        one_of(*registry.SPARSE_ENGINES),
    )
    strategy: str = option(
        "none",
        "devices of a training step; none: one; mirrored: all GPUs of this machine, each with its "
        "share of the pairs and a copy of the model; columns: the workers of TF_CONFIG, each with "
        "its share of the columns of the embeddings (lightgcn, mf); batch: the workers of "
        "TF_CONFIG, each with its share of the pairs and a copy of the model",
        one_of(*registry.STRATEGIES),
    )
