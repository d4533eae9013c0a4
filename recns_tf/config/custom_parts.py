"""Parts outside the package, named module:object, and who may name them.

Loading such a part imports its module, and so runs its code. Names that you type, or that stand in
a flagfile, are your own wish. Names in config.json may be somebody else's: they are refused unless
the command line repeats them or gives --allow_custom.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recns_tf.errors import UserError
from recns_tf.registry import OWN

PARTS = ("encoder", "sampler", "loss")
"""The settings that name parts of a model."""

NAMING = ("sampler", "loss", "samplers", "encoders", "grid")
"""The flags that name parts of a model."""


def is_custom(name: Any) -> bool:
    """Return whether a name is that of a part outside the package."""
    return OWN in str(name)


def custom_parts(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the parts outside the package that some settings name, by setting."""
    return {part: settings[part] for part in PARTS if is_custom(settings.get(part, ""))}


def refuse_custom(
    settings: Mapping[str, Any], path: Path, remedy: str, typed: Iterable[Any] = ()
) -> None:
    """Raise UserError if settings from a file name a part outside the package.

    Args:
        settings: the settings.
        path: the file, for the message.
        remedy: what to do if the file is trusted, for the message.
        typed: names that the user typed, which are not refused.
    """
    found = {part: name for part, name in custom_parts(settings).items() if name not in typed}
    if found:
        named = " and ".join(f"the {part} {name}" for part, name in found.items())
        raise UserError(
            f"{path} names {named}, which would run code outside this program: if you trust it, "
            f"{remedy}."
        )


def name_of(kind: str, part: Any) -> str:
    """Return the name, module:object, of a class or a function.

    Args:
        kind: what it is used as, for the message.
        part: the class or the function.

    Raises:
        UserError: it cannot be found by its name, as inside a function.
    """
    name = f"{getattr(part, '__module__', '')}{OWN}{getattr(part, '__qualname__', '')}"
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        found = None
    if found is None or found is not part:
        raise UserError(
            f"the {kind} {part!r} cannot be found by its name: give the name of one, or a class or "
            "function at the top of a module."
        )
    return name
