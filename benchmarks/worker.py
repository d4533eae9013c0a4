"""One of the workers of benchmarks/workers.py; its argument is the settings as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.graphs import SHAPES, random_interactions
from benchmarks.memory import resident
from benchmarks.quiet import tf
from recns_tf.config.config import Config
from recns_tf.ops.workers import workers
from recns_tf.training import memory, profiling

COUNTERS = Path("/proc/net/dev")


def forget_peak() -> None:
    """Let "VmHWM" start anew."""
    Path("/proc/self/clear_refs").write_text("5")


def loopback() -> int:
    """Return the bytes that this machine has sent to itself."""
    line = next(each for each in COUNTERS.read_text().splitlines() if each.strip()[:3] == "lo:")
    return int(line.partition(":")[2].split()[0])


def main(settings: dict[str, Any]) -> None:
    """Train some steps, and write what was measured."""
    chosen = {name: settings[name] for name in ("sampler", "dim", "batch_size")}
    config = Config.for_run("random", "lightgcn", strategy="columns", srns_warmup=0, **chosen)
    group = workers()
    data = random_interactions(SHAPES[settings["shape"]])
    before = resident("VmRSS")
    forget_peak()
    model, pipeline = profiling.past_warmup(config, data, None)
    step = tf.function(model.train_step, jit_compile=False, autograph=False)
    batches = iter(pipeline.batches())
    building = resident("VmHWM") - before
    forget_peak()
    step(next(batches))

    def barrier() -> int:
        """Return the loopback's counter at a moment when no worker sends."""
        if group.count > 1:
            group.wait()
        return loopback()

    start = barrier()
    for _ in range(settings["steps"]):
        step(next(batches))
    size = memory.Size(data.num_users, data.num_items, data.train.nnz)
    known = memory.estimate(config, size)
    known.pop(memory.WHOLE, None)  # that is for the chief to save; no epoch ends here
    found = {
        "sent": (barrier() - start) / settings["steps"],
        "memory": resident("VmHWM") - before,
        "building": building,
        "model_memory": sum(known.values()) + 8 * data.train.nnz,
    }
    (Path(settings["folder"]) / f"{group.number}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
