"""The logs of training for other programs, by the settings that turn them on."""

from __future__ import annotations

from recns_tf.config.config import Config
from recns_tf.config.logs import LogSettings
from recns_tf.runs.folder import RunFolder
from recns_tf.training.mlflow_log import MLflowLog
from recns_tf.training.row_log import RowLog
from recns_tf.training.tensorboard_log import TensorBoardLog


def callbacks_for(settings: LogSettings, folder: RunFolder, config: Config) -> list[RowLog]:
    """Return the Keras callbacks that log a run to other programs.

    They belong after `EpochEnd` in the list of callbacks. When the run has results, call `finish`
    of each.

    Args:
        settings: which programs.
        folder: folder of the run.
        config: settings of the run; the experiment of MLflow has the name of its dataset.

    Raises:
        UserError: a package is missing, or MLflow cannot be used at its address.
    """
    settings.require_packages()
    logs: list[RowLog] = []
    if settings.tensorboard:
        logs.append(TensorBoardLog(folder))
    if settings.mlflow:
        logs.append(MLflowLog(folder, settings.mlflow, config.dataset))
    return logs
