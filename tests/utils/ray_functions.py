"""What the tests of Ray run as tasks; importing it takes a worker no time."""

import os
import time
from pathlib import Path

from recns_tf.errors import UserError
from recns_tf.utils.parallel import THREADS


def wait_longer_if_earlier(values, task):
    """Return what the task sees; the earlier of two tasks takes longer."""
    time.sleep(0.3 if task % 2 == 0 else 0)
    return task, int(values[task]), bool(values.flags.writeable), THREADS.get()


def note(folder, task):
    """Leave a file."""
    (Path(folder) / str(task)).touch()
    return task


def fail(_, task):
    """Raise an error in the third task."""
    if task == 2:
        raise UserError("the third task fails.")
    return task


def die_once(folder, task):
    """Kill the process, unless an earlier try has."""
    file = Path(folder) / f"died-{task}"
    if task == 1 and not file.exists():
        file.touch()
        os._exit(1)
    return task


def die(_, task):
    """Kill the process."""
    os._exit(1)


def wait(_, task):
    """Take a while."""
    time.sleep(2)


def stay_on(node, folder, function, graph, block, reached):
    """Compute `function` once one node of the cluster has begun a task, and never on that node."""
    import ray

    here = ray.get_runtime_context().get_node_id()
    (Path(folder) / f"{block.items.start}-{here}").touch()
    deadline = time.monotonic() + 60
    while here == node or not list(Path(folder).glob(f"*-{node}")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return function(graph, block, reached)
