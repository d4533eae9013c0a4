"""Peak memory of a process."""

import resource


def peak_gigabytes() -> float:
    """Return the peak resident memory of this process so far, in GB."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9
