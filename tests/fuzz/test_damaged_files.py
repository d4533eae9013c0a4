"""Whatever happens to a file, reading it gives the same as before, or one sentence.

RECNS_TF_FUZZ sets the number of changes of each file; 2,000 take about 20 minutes.
"""

import contextlib
import io
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

import recns_tf as rt
from recns_tf import datasets
from recns_tf.baselines.fit import fit_and_evaluate
from recns_tf.baselines.settings import BaselineSettings
from recns_tf.comparison import embedding_files
from recns_tf.config.command_line import expand
from recns_tf.config.config import Config, Workspace
from recns_tf.errors import UserError
from recns_tf.experiments import cells
from recns_tf.interactions import to_pairs
from recns_tf.main import main
from recns_tf.regions.region import build_region
from recns_tf.reporting import runs as report
from recns_tf.runs.folder import RunFolder
from recns_tf.runs.recommendations import lists_of
from recns_tf.runs.summary import summarize
from recns_tf.samplers.pagerank import cached_lists
from recns_tf.training.build import build
from recns_tf.training.checkpoints import Checkpoints
from recns_tf.training.load import load_best_weights
from recns_tf.training.train import train_and_evaluate
from tests.conftest import make_toy
from tests.fuzz import LONG
from tests.fuzz.limits import limits
from tests.fuzz.mutations import damaged

COUNT = 2_000 if LONG else 12
DATA = make_toy()
SHOP = Config(dataset="shop")


class World:
    """A finished run, one that can be resumed, a baseline, a prepared log, and caches."""

    def __init__(self, path: Path, config: Config):
        self.path = path
        self.config = config
        runs = Workspace(runs_dir=str(path / "runs"), run_name="run")
        train_and_evaluate(config, runs, DATA, keep_data=True)
        self.run = RunFolder(path / "runs" / "run")
        shutil.copytree(self.run.path, path / "runs" / "killed")
        self.killed = RunFolder(path / "runs" / "killed")
        self.killed.results.unlink()
        shutil.copytree(self.run.path, path / "runs" / "old")
        self.old = RunFolder(path / "runs" / "old")
        self.old.manifest.path.unlink()
        settings = BaselineSettings()
        place = Workspace(runs_dir=str(path / "runs"), run_name="popular")
        fit_and_evaluate("popular", config, settings, place, DATA)
        self.baseline = RunFolder(path / "runs" / "popular")
        log = ["user,item,time,clicked"]
        for time, (user, item) in enumerate(to_pairs(DATA.positives).tolist()):
            log.append(f"u{user},i{item},{time},1")
        (path / "log.csv").write_text("\n".join(log) + "\n")
        main(["prepare", "shop", f"--input={path}/log.csv", f"--data_dir={path}/data",
              "--user=user", "--item=item", "--label=clicked", "--timestamp=time"])  # fmt: skip
        self.shop = path / "data" / "shop"
        self.regions = path / "regions"
        build_region(DATA.train, cache=self.regions)
        pagerank(self)
        self.model, _, _ = build(config, DATA)

    def weights(self):
        """Return the weights of the model and of its optimizer."""
        return [np.array(each) for each in (*self.model.weights, *self.model.optimizer.variables)]


@pytest.fixture(scope="module")
def world(tmp_path_factory, toy_config):
    config = Config(**toy_config.to_json() | {"encoder": "mf", "sampler": "unins", "epochs": 2})
    return World(tmp_path_factory.mktemp("world"), config)


def dataset(world):
    data = datasets.load(SHOP, world.path / "data")
    return data.checksum, data.name, str(data.source)


def dataset_from_log(world):
    for cache in world.shop.glob("interactions-*"):
        cache.unlink()
    return dataset(world)


def results(world, folder):
    return [folder.read_results(), summarize([folder.path]), reported(folder)]


def reported(folder):
    run = report.read_run(folder.path)
    if run.notes:
        raise UserError(" ".join(run.notes))
    return run.config, run.checksum, run.rows, run.results


def settings(world, folder):
    cell = cells.Cell(folder.path.name, world.config)
    with folder.claim(folder.read_config(), overwrite=False):
        pass
    return [
        folder.read_config(),
        expand([f"--config={folder.config}"]),
        cells.state(cell, folder.path.parent),
        reported(folder),
        Config.from_json(folder.read_config()),
    ]


def rows(world, folder):
    return folder.rows(), reported(folder)


def resumed(world, folder):
    for weight in world.model.weights:
        weight.assign(np.zeros(weight.shape))
    checkpoints = Checkpoints(folder, world.model)
    checkpoints.restore()
    return [*world.weights(), folder.rewind(int(checkpoints.epoch))]


def embeddings(world, folder):
    return [lists_of(folder, DATA), *embedding_files.read_run(DATA, folder.path)]


def best_weights(world, folder):
    for weight in world.model.weights:
        weight.assign(np.zeros(weight.shape))
    load_best_weights(world.model, folder)
    return world.weights()


def opened(folder):
    model = rt.load(folder.path)
    return [model.data.checksum, str(model.data.source), model.recommend(k=3).to_pydict()]


def region(world):
    found = build_region(DATA.train, cache=world.regions)
    return [found.counts, *found.form.arrays.values()]


def pagerank(world):
    return [cached_lists(world.regions, DATA.train, 3, 12, 4, 0.5, 0)]


FILES = {
    "dataset cache": (lambda w: next(w.shop.glob("interactions-*.npz")), dataset),
    "log.npz": (lambda w: w.shop / "log.npz", dataset_from_log),
    "prepared.json": (lambda w: w.shop / "prepared.json", dataset),
    "config.json": (lambda w: w.run.config, lambda w: settings(w, w.run)),
    "metrics.jsonl": (lambda w: w.run.metrics, lambda w: rows(w, w.run)),
    "metrics.jsonl to resume": (lambda w: w.killed.metrics, lambda w: resumed(w, w.killed)),
    "results.json": (lambda w: w.run.results, lambda w: results(w, w.run)),
    "manifest.json": (lambda w: w.run.manifest.path, lambda w: results(w, w.run)),
    "user.npy": (lambda w: w.run.embeddings / "user.npy", lambda w: embeddings(w, w.run)),
    "item_ids.npy": (lambda w: w.run.embeddings / "item_ids.npy", lambda w: embeddings(w, w.run)),
    "item.npy": (lambda w: w.run.embeddings / "item.npy", lambda w: opened(w.run)),
    "interactions.npz": (lambda w: w.run.interactions, lambda w: opened(w.run)),
    "lists": (lambda w: w.baseline.lists, lambda w: [lists_of(w.baseline, DATA)]),
    "best weights": (lambda w: w.run.best_weights, lambda w: best_weights(w, w.run)),
    "checkpoint data": (
        lambda w: next(w.killed.checkpoint.glob("*.data*")), lambda w: resumed(w, w.killed),
    ),
    "checkpoint index": (
        lambda w: next(w.killed.checkpoint.glob("*.index")), lambda w: resumed(w, w.killed),
    ),
    "region": (lambda w: next(w.regions.glob("region-*/words.npy")), region),
    "region about": (lambda w: next(w.regions.glob("region-*/about.json")), region),
    "PageRank": (lambda w: next(w.regions.glob("pagerank-*/lists.npy")), pagerank),
    "PageRank about": (lambda w: next(w.regions.glob("pagerank-*/about.json")), pagerank),
}  # fmt: skip
"""For each file, where it is and what reads it."""

# Without a manifest, a change that leaves a file legal cannot be noticed. The HDF5 library reads
# damaged files at its own risk.
OLD_FILES = {
    "interactions.npz": (lambda w: w.old.interactions, lambda w: opened(w.old)),
    "config.json": (lambda w: w.old.config, lambda w: settings(w, w.old)),
    "metrics.jsonl": (lambda w: w.old.metrics, lambda w: rows(w, w.old)),
    "results.json": (lambda w: w.old.results, lambda w: results(w, w.old)),
    "user.npy": (lambda w: w.old.embeddings / "user.npy", lambda w: embeddings(w, w.old)),
    "checkpoint data": (
        lambda w: next(w.old.checkpoint.glob("*.data*")), lambda w: resumed(w, w.old),
    ),
    "checkpoint index": (
        lambda w: next(w.old.checkpoint.glob("*.index")), lambda w: resumed(w, w.old),
    ),
}  # fmt: skip


def damage_and_read(world, name, files):
    """Yield what is read from a file as it is, then after each change, or None for a sentence."""
    where, read = files[name]
    path = where(world)
    folder = path.parent
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield read(world)
        copy = world.path / "copy"
        shutil.copytree(folder, copy)
        content = path.read_bytes()
        try:
            for seed in range(COUNT):
                rng = random.Random(f"{name} {seed}")
                # A new file, as the old one may be mapped into memory.
                path.unlink()
                path.write_bytes(damaged(content, rng, path.suffix in (".json", ".jsonl")))
                try:
                    with limits():
                        found = read(world)
                except UserError as error:
                    assert "\n" not in str(error) and str(error).endswith(".")
                    found = None
                except Exception as error:
                    raise AssertionError(f"change {seed} of {name}") from error
                yield found
                shutil.rmtree(folder)
                shutil.copytree(copy, folder)
        finally:
            shutil.rmtree(copy)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_damage_is_harmless_or_one_sentence(world, name, record_property):
    expected, *found = damage_and_read(world, name, FILES)
    for seed, each in enumerate(found):
        if each is not None:
            np.testing.assert_equal(each, expected, err_msg=f"change {seed}")
    record_property("same", sum(each is not None for each in found))
    record_property("refused", sum(each is None for each in found))


@pytest.mark.slow
@pytest.mark.parametrize("name", OLD_FILES)
def test_damage_to_a_run_of_an_earlier_version_is_never_a_traceback(world, name):
    assert sum(1 for _ in damage_and_read(world, name, OLD_FILES)) == COUNT + 1
