"""Errors while reading a file become one sentence that names it."""

import errno
import json

import pytest

from recns_tf.errors import UserError
from recns_tf.utils.damage import Damaged, reading

ADVICE = "make it again"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("no magic number."), "a.npz is damaged (no magic number): make it again."),
        (KeyError("rules"), "a.npz is damaged ('rules' is missing): make it again."),
        (RecursionError("x" * 101), "a.npz is damaged: make it again."),
        (RuntimeError("two\nlines"), "a.npz is damaged: make it again."),
        (UserError("--dim=x: choose a number."), "a.npz is damaged (--dim=x: choose a number): "
         "make it again."),
        (MemoryError(), "a.npz does not fit into memory, or is damaged: make it again."),
        (OSError("truncated file"), "a.npz is damaged (truncated file): make it again."),
        (FileNotFoundError(errno.ENOENT, "no", "b"), "b is missing: make it again."),
        (json.JSONDecodeError("Extra data", "1 2", 2),
         "a.npz is damaged (Extra data: line 1 column 3 (char 2)): make it again."),
    ],
)  # fmt: skip
def test_any_error_is_one_sentence(error, sentence):
    with pytest.raises(Damaged) as raised, reading("a.npz", ADVICE):
        raise error
    assert str(raised.value) == sentence


def test_refusal_of_the_system_is_not_called_damage():
    with pytest.raises(UserError) as raised, reading("a.npz", ADVICE):
        raise PermissionError(errno.EACCES, "Permission denied", "a.npz")
    assert str(raised.value) == "a.npz cannot be read: Permission denied."
    assert not isinstance(raised.value, Damaged)


def test_inner_sentence_is_kept():
    with (
        pytest.raises(Damaged, match=r"^inner is damaged"),
        reading("outer", ADVICE),
        reading("inner", ADVICE),
    ):
        raise ValueError


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interruption_passes_through(error):
    with pytest.raises(error), reading("a.npz", ADVICE):
        raise error
