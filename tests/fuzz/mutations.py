"""Seeded damage to files: of their bytes, and of the values of JSON."""

import json
import random

VALUES = [None, True, False, 0, -1, 3, 0.5, 1e308, float("nan"), 10**30, "", "x", "ml-100k", "../x",
          "mf", [], [1], [[[]]], {}, {"a": 1}]  # fmt: skip


def damaged_bytes(content: bytes, rng: random.Random) -> bytes:
    """Return the content of a file with one change of its bytes."""
    place = rng.randrange(len(content))
    length = rng.choice([1, 2, 8, 64, 512])
    kind = rng.choice(["bit", "bit", "bit", "byte", "cut", "insert", "delete", "repeat", "zeros"])
    if kind == "cut":
        return content[: rng.choice([0, place])]
    head, tail = content[:place], content[place:]
    if kind == "bit":
        return head + bytes([tail[0] ^ (1 << rng.randrange(8))]) + tail[1:]
    if kind == "byte":
        return head + rng.randbytes(1) + tail[1:]
    if kind == "insert":
        return head + rng.randbytes(length) + tail
    if kind == "delete":
        return head + tail[length:]
    if kind == "repeat":
        return head + tail[:length] + tail
    return head + bytes(len(tail[:length])) + tail[length:]


def places(value, path=()):
    """Yield the path of every value inside a JSON value."""
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in children:
        yield (*path, key)
        if isinstance(child, dict | list):
            yield from places(child, (*path, key))


def damaged_json(content: bytes, rng: random.Random) -> bytes:
    """Return JSON, or one line of JSON lines, with a value replaced or deleted."""
    lines = content.splitlines(keepends=True)
    one_value = not content.startswith(b'{"')
    number = rng.randrange(len(lines))
    value = json.loads(content if one_value else lines[number])
    *path, last = rng.choice(list(places(value)))
    parent = value
    for key in path:
        parent = parent[key]
    if rng.random() < 0.3:
        del parent[last]
    else:
        parent[last] = rng.choice(VALUES)
    if one_value:
        return json.dumps(value, indent=2).encode() + b"\n"
    lines[number] = json.dumps(value).encode() + b"\n"
    return b"".join(lines)


def damaged(content: bytes, rng: random.Random, is_json: bool) -> bytes:
    """Return the content of a file with one change."""
    if is_json and rng.random() < 0.1:
        return rng.choice([b"[" * 100_000, b'{"a":' * 100_000, b"3\n", b"null\n", b"\xff\xfe{}"])
    return (damaged_json if is_json and rng.random() < 0.5 else damaged_bytes)(content, rng)
