"""Train RecBole's LightGCN on prepared files; runs in RecBole's own environment.

Run: ENVIRONMENT/bin/python train_recbole.py JOB.json

The job has RecBole's settings and the folders; `programs.py` writes it. The folder "output" then
holds users.npy and items.npy, the final embeddings in the order of the numbers in the files, and
epochs.json, the seconds of each epoch and the versions of the packages. Nothing of this project is
imported, because the environment does not have it.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_logger, init_seed

PACKAGES = ("recbole", "torch", "numpy", "scipy")


def timed(function: Any, seconds: list[float]) -> Any:
    """Return a function wrapped so that each call appends its seconds to a list."""

    def call(*arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        result = function(*arguments, **named)
        seconds.append(time.perf_counter() - start)
        return result

    return call


def train(job: dict[str, Any]) -> None:
    """Train as `recbole.quick_start.run_recbole` does, without validation and checkpoints."""
    torch.set_num_threads(job["threads"])
    # RecBole reads further settings from the command line.
    sys.argv = sys.argv[:1]
    config = Config(model="LightGCN", dataset=job["dataset"], config_dict=job["settings"])
    init_seed(config["seed"], config["reproducibility"])
    init_logger(config)
    dataset = create_dataset(config)
    train_data, _, _ = data_preparation(config, dataset)
    init_seed(config["seed"], config["reproducibility"])
    model = get_model(config["model"])(config, train_data._dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    seconds: list[float] = []
    trainer._train_epoch = timed(trainer._train_epoch, seconds)
    trainer.fit(train_data, saved=False)
    model.eval()
    with torch.no_grad():
        tables = model.forward()
    output = Path(job["output"])
    for name, field, table, number in zip(
        ("users", "items"),
        (dataset.uid_field, dataset.iid_field),
        tables,
        (job["users"], job["items"]),
        strict=True,
    ):
        rows = dataset.token2id(field, [str(each) for each in range(number)])
        np.save(output / f"{name}.npy", table.numpy()[rows])
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    found = {"seconds": seconds, "versions": {"python": platform.python_version()} | versions}
    (output / "epochs.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    train(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
