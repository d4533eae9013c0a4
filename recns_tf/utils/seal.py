"""JSON objects that carry a checksum of themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "checksum"
"""The key of the checksum; it does not depend on the order of keys, or on white space."""


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object with its checksum as the last key."""
    return {**content, SEAL: checksum(content)}


def check_seal(sealed: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object without its checksum.

    Raises:
        KeyError: it has no checksum.
        ValueError: the checksum does not match.
    """
    content = {key: value for key, value in sealed.items() if key != SEAL}
    if sealed[SEAL] != checksum(content):
        raise ValueError("its checksum does not match")
    return content


def checksum(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a JSON object in hexadecimal."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
