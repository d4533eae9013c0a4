"""The types of what a run records: the rows of metrics.jsonl, and results.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recns_tf.evaluation.display import WARM

NUMBER = (int, float)
OPTIONAL_NUMBER = (*NUMBER, type(None))
ROW: Mapping[str, tuple[type, ...]] = {"epoch": (int,), "loss": NUMBER, "seconds": NUMBER}
RESULTS: Mapping[str, tuple[type, ...]] = {
    "dataset": (str,),
    "encoder": (str,),
    "sampler": (str,),
    "best_epoch": (int, type(None)),
    "valid": (dict, type(None)),
    "test": (dict,),
    "config": (dict,),
    "data": (dict,),
    "seed": (int,),
    "seconds_per_epoch": OPTIONAL_NUMBER,
}
"""The keys that every version has written, with the types of their values."""

SOMETIMES: Mapping[str, tuple[type, ...]] = {
    "epochs_run": NUMBER,
    "training_seconds": NUMBER,
    "fitting_seconds": NUMBER,
    "sampling_seconds": NUMBER,
    "negatives": (dict,),
    "chosen": (dict,),
    "tried": (list,),
}
"""The types of other values, if they are there."""


def check_types(found: Any, types: Mapping[str, tuple[type, ...]], needed: bool) -> None:
    """Raise KeyError or TypeError unless the values of an object have the given types.

    Args:
        found: a JSON value.
        types: the types of the values by key.
        needed: whether every key must be there.
    """
    if not isinstance(found, dict):
        raise TypeError("it is not a JSON object")
    for name, legal in types.items():
        if not needed and name not in found:
            continue
        value = found[name]
        if not isinstance(value, legal) or isinstance(value, bool):
            raise TypeError(f"'{name}' has the wrong type")


def check_numbers(found: Mapping[str, Any]) -> None:
    """Raise TypeError unless all values are numbers."""
    check_types(found, dict.fromkeys(found, NUMBER), needed=True)


def check_metrics(metrics: Mapping[str, Any]) -> None:
    """Raise TypeError unless all values are numbers, or the metrics of warm users."""
    check_numbers({name: value for name, value in metrics.items() if name != WARM})
    if WARM in metrics:
        check_types(metrics, {WARM: (dict,)}, needed=True)
        check_numbers(metrics[WARM])


def check_row(row: Any) -> dict[str, Any]:
    """Return a row of metrics.jsonl; raise KeyError or TypeError if it cannot be one."""
    check_types(row, ROW, needed=True)
    for name, value in row.items():
        if name == "valid":
            check_types(row, {"valid": (dict,)}, needed=True)
            check_metrics(value)
        else:
            check_types(row, {name: NUMBER}, needed=True)
    checked: dict[str, Any] = row
    return checked


def check_results(results: Any) -> dict[str, Any]:
    """Return the content of results.json; raise KeyError or TypeError if it cannot be that."""
    check_types(results, RESULTS, needed=True)
    check_types(results, SOMETIMES, needed=False)
    check_types(results["data"], {"checksum": (str,)}, needed=True)
    check_types(results["config"], {"dataset": (str,)}, needed=False)
    if "negatives" in results:
        check_types(results["negatives"], {"false_negatives": NUMBER}, needed=True)
    for part in ("test", "valid"):
        check_metrics(results[part] or {})
    check_numbers(results.get("negatives") or {})
    checked: dict[str, Any] = results
    return checked
