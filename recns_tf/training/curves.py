"""Learning curves of a run: training loss and validation metrics by epoch."""

from __future__ import annotations

from pathlib import Path

from recns_tf.evaluation.display import label, main_metrics
from recns_tf.runs.folder import Row
from recns_tf.utils.files import atomic

FEW_EPOCHS = 10


def plot_curves(
    rows: list[Row], kept_epoch: int, title: str, path: Path, keep: str = "best"
) -> None:
    """Plot the training loss, and Recall, NDCG and HR at the largest K, by epoch into a PNG file.

    Args:
        rows: rows of metrics.jsonl.
        kept_epoch: the epoch to mark by a vertical line.
        title: title above both panels.
        path: path of the PNG file.
        keep: what the marked epoch is, "best" or "last".
    """
    # It takes half a second to import: not before the first step.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    loss_axes, metric_axes = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in rows]
    marker = "." if len(rows) < FEW_EPOCHS else ""
    loss_axes.plot(epochs, [row["loss"] for row in rows], color="C0", marker=marker)
    loss_axes.set(xlabel="epoch", ylabel="training loss")
    validated = [row for row in rows if "valid" in row]
    checked = [row["epoch"] for row in validated]
    for color, key in enumerate(main_metrics(row["valid"] for row in validated[-1:]), 1):
        values = [row["valid"][key] for row in validated]
        metric_axes.plot(checked, values, label=label(key), color=f"C{color}", marker=marker)
    metric_axes.set(xlabel="epoch", ylabel="validation", ylim=(0, None))
    for axes in (loss_axes, metric_axes):
        axes.axvline(kept_epoch, color="0.5", linestyle=":", label=f"{keep} epoch, {kept_epoch}")
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(*metric_axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.suptitle(title)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120)
