"""The memory of a process, as Linux counts it."""

from pathlib import Path

from recns_tf.utils.memory import numbers_of


def resident(kind: str) -> int:
    """Return the resident bytes of this process, now ("VmRSS") or at most ("VmHWM")."""
    return numbers_of(Path("/proc/self/status"), unit=1024)[kind]


def peak_gigabytes() -> float:
    """Return the peak resident memory of this process so far, in GB."""
    return resident("VmHWM") / 1e9
