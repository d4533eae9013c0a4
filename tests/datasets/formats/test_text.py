"""Streams of text in other encodings and with long separators, cut into blocks anywhere."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recns_tf.datasets.formats.text import BadText, Utf8Stream, is_text_encoding


class Slow(io.BytesIO):
    """Returns at most `limit` bytes per read."""

    def __init__(self, data, limit):
        super().__init__(data)
        self.limit = limit

    def read(self, size=-1):
        return super().read(min(size, self.limit))


def convert(data, encoding="utf-8", separator="", limit=3, size=5):
    stream = Utf8Stream(Slow(data, limit), encoding, separator)
    return b"".join(iter(lambda: stream.read(size), b""))


@given(
    st.text(alphabet="aé€:|\n", max_size=20),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "gb18030"]),
    st.integers(1, 4),
    st.integers(1, 7),
)
def test_text_of_any_encoding_becomes_utf8(text, encoding, limit, size):
    assert convert(text.encode(encoding), encoding, "", limit, size).decode() == text


@given(
    st.text(alphabet="a:|", max_size=20),
    st.sampled_from(["::", ":::", ":|:", "::|"]),
    st.integers(1, 4),
)
def test_long_separators_are_replaced_across_blocks(text, separator, limit):
    found = convert(text.encode(), "utf-8", separator, limit)
    assert found.decode().split("\x1f") == text.split(separator)


def test_byte_order_marks_are_removed_and_bad_bytes_kept():
    assert convert(b"\xef\xbb\xbfa\xef\xbb\xbf", limit=1) == b"a\xef\xbb\xbf"
    assert convert("\ufeffa".encode("utf-16-le"), "utf-16-le") == b"a"
    assert convert(b"caf\xe9") == b"caf\xe9"
    assert convert(b"\x81", "cp1252") == b"\x81"  # undefined in this encoding


def test_the_character_that_stands_for_the_separator_is_refused():
    with pytest.raises(BadText, match="contains the control character 0x1F"):
        convert(b"a::b\x1fc", separator="::")


def test_encodings():
    assert all(map(is_text_encoding, ("latin-1", "GBK", "utf-16")))
    assert not any(map(is_text_encoding, ("", "nothing", "hex", "rot13", "zip")))
