"""A run of MLflow for each run here: its settings, the metrics of every epoch, and its results."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from recns_tf.errors import UserError
from recns_tf.runs.folder import RunFolder
from recns_tf.training.row_log import RowLog
from recns_tf.utils.damage import reading
from recns_tf.utils.files import read_object, write_json
from recns_tf.utils.text import one_line

MOST_METRICS, MOST_PARAMETERS = 1000, 100
"""How many MLflow takes at once."""

FINISHED = "FINISHED"

ENVIRONMENT = {
    # It would ask a server of its makers whether to report how it is used.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # By default, it waits for minutes for a server that is down.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}
"""Defaults of MLflow's own variables."""


class MLflowLog(RowLog):
    """Logs a run to MLflow: parameters, metrics by epoch, test metrics, results.json, curves.png.

    mlflow.json in the run's folder holds the id of the MLflow run, so that an interrupted run goes
    on in it. If MLflow fails while the model trains, a sentence says so and training goes on; what
    is missing is logged when training ends, or when the same command runs again.

    Args:
        folder: folder of the run; its name is that of the MLflow run.
        tracking_uri: address of the tracking server, or of the file that takes its place.
        experiment: name of the MLflow experiment; it is created if it does not exist.

    Raises:
        UserError: MLflow cannot be used at this address.
    """

    def __init__(self, folder: RunFolder, tracking_uri: str, experiment: str):
        super().__init__(folder)
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient

        self.tracking_uri = tracking_uri
        self.run_id = ""
        self.failed = False
        try:
            self.client = MlflowClient(tracking_uri=tracking_uri)
            self.experiment_id = experiment_id(self.client, experiment)
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"--mlflow={tracking_uri}: {one_line(error)}.") from error

    def open(self) -> set[tuple[str, int]]:
        """Find or create the MLflow run, and return the metrics that it has."""
        run = self.earlier_run()
        if run is None:
            run = self.client.create_run(self.experiment_id, run_name=self.folder.path.name)
            with self.folder.manifest.replacing(self.folder.mlflow) as temporary:
                write_json(
                    temporary, {"tracking_uri": self.tracking_uri, "run_id": run.info.run_id}
                )
        self.run_id = run.info.run_id
        self.log_settings()
        return {
            (metric.key, metric.step)
            for name in run.data.metrics
            for metric in self.client.get_metric_history(self.run_id, name)
        }

    def earlier_run(self) -> Any | None:
        """Return the MLflow run that mlflow.json names, if it is there."""
        from mlflow.exceptions import MlflowException

        if not self.folder.mlflow.exists():
            return None
        self.folder.manifest.verify(self.folder.mlflow)
        advice = "delete it to log to another run of MLflow"
        with reading(self.folder.mlflow, advice):
            known = read_object(self.folder.mlflow)
            tracking_uri, run_id = str(known["tracking_uri"]), str(known["run_id"])
        if tracking_uri != self.tracking_uri:
            return None
        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return run if run.info.lifecycle_stage == "active" else None

    def log_settings(self) -> None:
        """Log the content of config.json as parameters; MLflow ignores those that it has."""
        from mlflow.entities import Param

        settings = self.folder.read_config().items()
        parameters = [Param(name, str(value)) for name, value in settings]
        for some in parts(parameters, MOST_PARAMETERS):
            self.client.log_batch(self.run_id, params=some)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Log the metrics of an epoch."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value in scalars.items()]
        for some in parts(metrics, MOST_METRICS):
            self.client.log_batch(self.run_id, metrics=some)

    def close(self) -> None:
        """Add the files with the results, and mark the MLflow run as finished."""
        if self.client.get_run(self.run_id).info.status == FINISHED:
            return
        for file in (self.folder.results, self.folder.curves):
            if file.exists():
                self.client.log_artifact(self.run_id, str(file))
        self.client.set_terminated(self.run_id, FINISHED)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Add the epochs before, if the run resumes."""
        self.attempt(super().on_train_begin, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add an epoch; `epoch` counts from 0, but steps count from 1."""
        self.attempt(super().on_epoch_end, epoch, logs)

    def finish(self, results: Mapping[str, Any]) -> None:
        """Add what is missing, the test metrics, and the files with the results."""
        self.failed = False
        self.attempt(super().finish, results)

    def add(self, step: int, logs: Mapping[str, Any]) -> None:
        """Log values that are missing as metrics, under names that MLflow allows."""
        super().add(step, {legal_name(name): value for name, value in logs.items()})

    def attempt(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function, unless MLflow failed before; say so if it fails now."""
        if self.failed:
            return
        try:
            function(*arguments)
        except UserError:
            raise
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Say that MLflow failed, and leave it alone until training ends."""
        self.failed = True
        # A part of the metrics may have arrived.
        self.written = None
        print(
            f"--mlflow={self.tracking_uri}: {one_line(error)}. What is missing there is logged "
            "when training ends, or when the same command runs again.",
            file=sys.stderr,
            flush=True,
        )


def experiment_id(client: Any, name: str) -> str:
    """Return the id of an experiment of MLflow, which is created if it does not exist.

    Raises:
        UserError: the experiment is in MLflow's trash.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return str(client.create_experiment(name))
    if experiment.lifecycle_stage != "active":
        raise UserError(
            f"--mlflow: the experiment {name} is deleted; 'mlflow experiments restore "
            f"--experiment-id {experiment.experiment_id}' brings it back."
        )
    return str(experiment.experiment_id)


def legal_name(name: str) -> str:
    """Return a name that MLflow allows for a metric.

    Example:
        >>> legal_name("val_recall@20")
        'val_recall_at_20'
    """
    return re.sub(r"[^\w.\- /]", "_", name.replace("@", "_at_"))


def parts(values: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    """Yield a sequence in parts of at most `most` values."""
    for start in range(0, len(values), most):
        yield values[start : start + most]
