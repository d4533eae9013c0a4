"""Which other programs training reports its progress to; results do not depend on it."""

from __future__ import annotations

import dataclasses
import importlib.util
import re

from recns_tf.config.flags import Checked, Rule, option
from recns_tf.errors import UserError

TRACKING_URI = re.compile(r"|https?://[^/@\s]+(/[^@\s]*)?|sqlite:///.+|file:.+|databricks(://\w+)?")
A_TRACKING_URI = Rule(
    "http://HOST:PORT or https://HOST without a password, sqlite:///FILE, file:FOLDER, databricks, "
    "or nothing",
    lambda text: TRACKING_URI.fullmatch(text) is not None,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogSettings(Checked):
    """Where training writes the rows of metrics.jsonl besides the folder of the run."""

    tensorboard: bool = option(False, "write event files for TensorBoard into RUN/tensorboard/")
    mlflow: str = option(
        "",
        "log settings, metrics and results to this MLflow tracking server or file, such as "
        "http://localhost:5000 or sqlite:///mlflow.db",
        A_TRACKING_URI,
    )

    def require_packages(self) -> None:
        """Raise UserError if a package that these settings need is not installed."""
        if self.mlflow and importlib.util.find_spec("mlflow") is None:
            raise UserError("--mlflow needs the package mlflow: pip install 'recns-tf[mlflow]'.")
