"""The two programs: each trains a workload in a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from benchmarks.peers import atomic_files
from benchmarks.peers.processes import peak_of
from benchmarks.peers.workload import ENCODER, Workload, own_settings, recbole_settings
from recns_tf.comparison.embedding_files import Embeddings, read_embeddings, read_run
from recns_tf.interactions import Interactions
from recns_tf.runs.folder import RunFolder
from recns_tf.utils.child_processes import command_line
from recns_tf.utils.files import read_json, write_json
from recns_tf.utils.parallel import CORES

OURS, THEIRS = "recns_tf", "RecBole"
SCRIPT = Path(__file__).with_name("train_recbole.py")


class Trained(NamedTuple):
    """What a run leaves.

    Attributes:
        seconds: of training in each epoch; the first is not to be counted.
        gigabytes: peak memory of the process.
        embeddings: reads the final embeddings in the row order of the dataset.
        versions: versions of Python, the program and the packages it uses.
    """

    seconds: list[float]
    gigabytes: float
    embeddings: Callable[[Interactions], Embeddings]
    versions: dict[str, str]


class Program(Protocol):
    """A program that trains LightGCN."""

    def train(self, workload: Workload, seed: int) -> Trained:
        """Train a workload in a process of its own.

        Raises:
            UserError: the process fails; the message ends with the last line that it printed.
        """


class Ours:
    """The library itself, called by its command line.

    Args:
        folder: folder of the runs and logs.
        data_dir: folder of the datasets.
    """

    def __init__(self, folder: Path, data_dir: str):
        self.folder = folder
        self.data_dir = data_dir

    def train(self, workload: Workload, seed: int) -> Trained:
        """Train in an ordinary run; see Program."""
        name = f"{workload.name}-{OURS}-{seed}"
        command = [
            *command_line(workload.dataset, ENCODER),
            *(f"--{key}={value}" for key, value in own_settings(workload, seed).items()),
            *(f"--data_dir={self.data_dir}", f"--runs_dir={self.folder}"),
            *(f"--run_name={name}", "--overwrite"),
        ]
        peak = peak_of(command, self.folder / "logs" / f"{name}.log")
        run = RunFolder(self.folder / name)
        seconds = [row["seconds"] for row in run.rows()]
        versions = read_json(run.results)["versions"]
        return Trained(seconds, peak, partial(read_run, path=run.path), versions)


class RecBole:
    """RecBole, called by `train_recbole.py` in its own environment.

    Args:
        folder: folder of the files, the runs and the logs.
        python: the Python of the environment.
        datasets: the datasets by name, which are written to `folder`.
    """

    def __init__(self, folder: Path, python: Path, datasets: Mapping[str, Interactions]):
        # Its script runs in another folder.
        self.folder, self.python = folder.absolute(), python.absolute()
        self.data = self.folder / "data"
        self.datasets = datasets
        self.names = {name: atomic_files.write(each, self.data) for name, each in datasets.items()}

    def train(self, workload: Workload, seed: int) -> Trained:
        """Train in a new folder, where RecBole also keeps its logs; see Program."""
        name = f"{workload.name}-{THEIRS}-{seed}"
        output = self.folder / name
        shutil.rmtree(output, ignore_errors=True)
        data = self.datasets[workload.dataset]
        job = {
            "dataset": self.names[workload.dataset],
            "settings": recbole_settings(workload, seed, self.data),
            "threads": CORES,
            "users": data.num_users,
            "items": data.num_items,
            "output": str(output),
        }
        write_json(output / "job.json", job)
        command = [str(self.python), "-W", "ignore", str(SCRIPT), str(output / "job.json")]
        peak = peak_of(command, self.folder / "logs" / f"{name}.log", output)
        files = {kind: output / f"{kind}.npy" for kind in ("users", "items")}
        found = read_json(output / "epochs.json")
        embeddings = partial(read_embeddings, files=files)
        return Trained(found["seconds"], peak, embeddings, found["versions"])
