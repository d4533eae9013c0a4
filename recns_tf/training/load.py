"""A finished run's model, to go on working with: embeddings, new users, scores."""

from __future__ import annotations

import json
from pathlib import Path

from recns_tf import datasets
from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.interactions import Interactions
from recns_tf.runs.folder import RunFolder, reading
from recns_tf.training.build import build
from recns_tf.training.sampled_rec import SampledRec


def load(
    run: str | Path, data_dir: str | Path = "data", interactions: Interactions | None = None
) -> tuple[SampledRec, Interactions]:
    """Return the model of a run with the weights of its best epoch, and its data.

    Args:
        run: the run's folder, such as runs/ml-100k-pinsage-recns.
        data_dir: folder of the datasets.
        interactions: the run's data; that of the catalogue, if None.

    Raises:
        UserError: the folder is not that of a run with a best epoch, or the data are not those
            it was trained on.
    """
    folder = RunFolder(Path(run))
    with reading(folder.config):
        settings = json.loads(folder.config.read_text(encoding="utf-8"))
        checksum = settings["data_checksum"]
        config = Config.from_json(settings)
    if interactions is None:
        interactions = datasets.load(config, str(data_dir))
    if interactions.checksum != checksum:
        raise UserError(f"{run} was trained on other data than {interactions.name} is now.")
    model, _, _ = build(config, interactions)
    with reading(folder.best_weights):
        model.load_weights(folder.best_weights)
    return model, interactions
