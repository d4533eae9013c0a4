import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from recns_tf.regions.region import build_region, region_blocks
from recns_tf.regions.storage import RegionBuilder
from recns_tf.regions.walks import Graph
from tests.conftest import members
from tests.regions.test_region import graphs


def stored(form, shape):
    """Return the stored sets as a dense array."""
    if form.name == "bitmap":
        words = np.ascontiguousarray(form.arrays["words"])
        dense = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little").astype(bool)
        assert not dense[:, shape[1] :].any()
        return dense[:, : shape[1]]
    inside = form.rows(False, shape[1]).toarray()
    lacking = form.rows(True, shape[1]).toarray()
    return np.where(form.arrays["missing"][:, None], ~lacking, inside)


def effective(train, kind, khop, definition):
    """Return the sets to draw from: the region, or all unobserved items if it is empty."""
    inside = members(train, kind, khop, definition)
    return np.where(inside.any(axis=1, keepdims=True), inside, ~train)


@pytest.mark.slow
@given(
    graphs(),
    st.sampled_from([3, 5]),
    st.sampled_from([("intermediate", "walk"), ("intermediate", "shell"), ("distant", "walk")]),
)
@settings(max_examples=100)
def test_stored_sets_equal_the_region(train, khop, which):
    kind, definition = which
    region = build_region(csr_array(train), kind, khop, definition)
    np.testing.assert_array_equal(region.counts, members(train, kind, khop, definition).sum(axis=1))
    np.testing.assert_array_equal(
        stored(region.form, train.shape), effective(train, kind, khop, definition)
    )


BITMAP = 1_000 * 79 * 8 * 5 / 4
"""Bytes of the bitmap of `world` with its directory."""


def world(density):
    """Return train positives of 1,000 users and 5,000 items, a number divisible by no block size.

    User 3 has no item, and user 4 one that no other user has. Users 5 and 6 share the last item
    and have three more items that no other user has.
    """
    train = np.random.default_rng(1).random((1_000, 5_000)) < density
    train[3:7] = False
    train[:, 4_990:] = False
    train[4, 4_990] = True
    train[5:7, 4_999] = True
    train[5, [4_991, 4_992]] = train[6, 4_993] = True
    return train


@pytest.mark.slow
@pytest.mark.parametrize(
    ("density", "kind", "khop", "name"),
    [
        (0.0002, "intermediate", 3, "lists"),
        (0.006, "intermediate", 5, "lists"),
        (0.0002, "distant", 3, "lists"),
        (0.003, "intermediate", 3, "bitmap"),
        (0.003, "distant", 3, "bitmap"),
    ],
)
def test_smaller_form_is_chosen(density, kind, khop, name):
    train = world(density)
    region = build_region(csr_array(train), kind, khop)
    form = region.form
    assert form.name == name
    if name == "lists":
        lengths = np.diff(form.arrays["starts"])
        share = region.counts / 5_000
        short = np.minimum(region.counts, 5_000 - region.counts)
        some = region.counts > 0
        np.testing.assert_array_equal(lengths[some], short[some])
        np.testing.assert_array_equal(lengths[~some], train[~some].sum(axis=1))
        np.testing.assert_array_equal(form.arrays["missing"], ~some | (share > 0.5))
        assert form.arrays["missing"].any()
        assert kind == "distant" or not form.arrays["missing"].all()
    else:
        assert form.arrays["words"].shape == (1_000, 79)
    np.testing.assert_array_equal(stored(form, train.shape), effective(train, kind, khop, "walk"))


@pytest.mark.parametrize(("bitmaps", "name"), [(0.9, "sizes"), (1.0, "bitmap")])
def test_sets_beyond_the_memory_limit_are_not_stored(bitmaps, name):
    train = world(0.003)
    region = build_region(csr_array(train), memory=bitmaps * BITMAP / 1e9)
    assert region.form.name == name
    np.testing.assert_array_equal(
        region.counts, members(train, "intermediate", 3, "walk").sum(axis=1)
    )


def test_lists_are_stored_if_only_they_fit():
    train = world(0.006)
    lists = build_region(csr_array(train), khop=5).form
    needed = 8 * len(lists.arrays["items"])
    assert needed < BITMAP
    again = build_region(csr_array(train), khop=5, memory=needed / 1e9).form
    assert again.name == "lists"
    np.testing.assert_array_equal(again.arrays["items"], lists.arrays["items"])
    assert build_region(csr_array(train), khop=5, memory=(needed - 1) / 1e9).form.name == "sizes"


def test_lists_over_the_memory_limit_are_dropped_while_building():
    """The lists are dropped as soon as those of the blocks so far exceed the limit."""
    graph = Graph(csr_array(world(0.006)))
    blocks = [
        (block, bits.copy()) for block, bits in region_blocks(graph, "intermediate", 5, "walk")
    ]
    entries = []
    for block, bits in blocks:
        inside = np.bitwise_count(bits).sum(axis=1)
        entries.append(np.minimum(inside, block.width - inside).sum())
    assert len(entries) > 1 and max(entries) < sum(entries) - 1
    for spare, kept in ((0, True), (-1, False)):
        collector = RegionBuilder(graph, 8 * (int(sum(entries)) + spare))
        for block, bits in blocks:
            collector.add(block, bits)
        assert (collector.kept is not None) == kept
