import numpy as np
import pytest

from recns_tf.datasets.formats import delimited
from recns_tf.datasets.formats.graph_files import (
    read_adjacency,
    read_lightgcn,
    read_nodes,
    read_pinsage,
)
from recns_tf.errors import UserError
from tests.conftest import SHARED

ZHIHU = SHARED / "data" / "zhihu-original"


def put(folder, **files):
    for name, content in files.items():
        content = content if isinstance(content, bytes) else content.encode()
        (folder / f"{name}.txt").write_bytes(content)
    return folder


def test_adjacency_lines(tmp_path):
    put(tmp_path, train="2 5 1\n\n0\n1 0 5\r\n")
    pairs = read_adjacency(tmp_path / "train.txt", (3, 6))
    assert pairs.tolist() == [[2, 5], [2, 1], [1, 0], [1, 5]]


def test_byte_order_mark_and_missing_final_newline_are_accepted(tmp_path):
    put(tmp_path, train=b"\xef\xbb\xbf0 3\n1 2")
    assert read_adjacency(tmp_path / "train.txt").tolist() == [[0, 3], [1, 2]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0 1\n1 -2\n", "line 2: '-2' is not a non-negative integer."),
        ("0 1.0\n", "line 1: '1.0' is not a non-negative integer."),
        ("0 1\n1 nan\n", "line 2: 'nan' is not a non-negative integer"),
        ("0,1\n", "line 1: '0,1' is not a non-negative integer"),
        ("0 1\n 4\n", "line 2: there is no user before the items."),
        ("0 1\n0 2\n", "line 2: user 0 already has line 1."),
        ("9 1\n", "line 1: user 9 is not from 0 to 8."),
        ("0 1\n1 20\n", "line 2: item 20 is not from 0 to 19."),
        ("0 99999999999999999999999\n", "line 1: item 99999999999999999999999 is not from 0"),
        (b"0 1\n1 \xff\n", r"line 2: '\\xff' is not a non-negative integer"),
        ("", "has no lines."),
        ("0 1\x0c2\n", "line 1: '1\x0c2' is not a non-negative integer"),
        (f"0 {'9' * 5000}\n", f"line 1: item {'9' * 30} is not from 0 to 19."),
        ("0 1\n1 1_0\n", "line 2: '1_0' is not a non-negative integer"),
    ],
)
def test_malformed_lines_are_errors(tmp_path, content, message):
    put(tmp_path, train=content)
    with pytest.raises(UserError) as error:
        read_adjacency(tmp_path / "train.txt", (9, 20))
    assert message.replace(r"\\", "\\") in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "train.txt"))


def test_pinsage_numbers_items_after_users(tmp_path):
    put(
        tmp_path,
        train="0\t3\tPos\n0\t5\tNeg\n2\t4\tPos\n",
        valid="0\t6\n",
        test="1\t3\n",
    )
    for sizes in (None, (3, 4)):
        files = read_pinsage(tmp_path, sizes)
        assert files.train.tolist() == [[0, 0], [2, 1]]
        assert files.exposed.tolist() == [[0, 2]]
        assert files.valid.tolist() == [[0, 3]]
        assert files.test.tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("0\t3\tPos\n0\t4\tMaybe\n", "line 2: type 'Maybe' is neither Pos nor Neg."),
        ("0\t3\tPos\n0\t4\n", "line 2: 2 fields where 3 columns are named."),
        ("0\t3\tPos\n-1\t4\tPos\n", "line 2: user '-1' is not an integer from 0"),
        ("0\t3\tPos\n0\t4.0\tPos\n", "line 2: item '4.0' is not an integer from 0"),
        ("0\t3\tPos\n0\t\tPos\n", "line 2: item '' is not an integer from 0"),
        ("0\t3\tPos\n\n0\t2\tPos\n", "line 3: item node 2 is not from 3 to 6."),
        ("0\t3\tPos\n3\t4\tPos\n", "line 2: user node 3 is not from 0 to 2."),
        ("0\t3\tPos\n0\t7\tNeg\n", "line 2: item node 7 is not from 3 to 6."),
        ("0\t99999999999999999999\tPos\n", "line 1: item '99999999999999999999' is not an"),
        ("", "is empty."),
    ],
)
def test_malformed_pairs_are_errors(tmp_path, train, message):
    put(tmp_path, train=train, valid="0\t6\n", test="1\t3\n")
    with pytest.raises(UserError, match=r"train\.txt") as error:
        read_pinsage(tmp_path, (3, 4))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "train",
            "0 1\n\n1 0 99999999 3\n",
            "train.txt line 3: item 99999999 is above 1000050, too ",
        ),
        ("train", "0 1\n70000000 0 2 3\n", "train.txt line 2: user 70000000 is above 1000050, "),
        ("test", "0 1 5\n1 1000061\n", "test.txt line 2: item 1000061 is above 1000060, too large"),
        (
            "train_exposed",
            "0 8 9\n1 1000071\n",
            "line 2: item 1000071 is above 1000070, too large for 7",
        ),
    ],
)
def test_number_far_above_the_pairs_is_an_error(tmp_path, name, content, message):
    """At most 10 times the pairs of all files plus 1,000,000; an array of 10^8 took gigabytes."""
    put(tmp_path, train="0 1 2\n1 0\n", test="1 1\n")
    put(tmp_path, **{name: content})
    with pytest.raises(UserError) as error:
        read_lightgcn(tmp_path)
    assert message in str(error.value)


def test_numbers_with_moderate_gaps_are_accepted(tmp_path):
    put(tmp_path, train="0 1000040\n1000040 0 2\n", test="1 1\n", valid="5\n")
    assert read_lightgcn(tmp_path).train.tolist() == [[0, 1000040], [1000040, 0], [1000040, 2]]
    put(tmp_path, train="0 99999999\n1 0\n")
    assert read_lightgcn(tmp_path, (10, 10**8)).train.max() == 99999999, "the size is known"


def test_pinsage_node_far_above_the_pairs_is_an_error(tmp_path):
    put(tmp_path, train="0\t3\tPos\n1\t99999999\tNeg\n", valid="0\t6\n", test="1\t3\n")
    with pytest.raises(UserError, match=r"train\.txt line 2: item 99999999 is above 1000043, too "):
        read_pinsage(tmp_path)
    put(tmp_path, train="0\t50000000\tPos\n", valid="0\t50000001\n", test="9000000\t50000000\n")
    with pytest.raises(
        UserError, match=r"test\.txt line 1: user 9000000 is above 1000030, too lar"
    ):
        read_pinsage(tmp_path)
    put(tmp_path, test="1\t51000030\n")
    assert read_pinsage(tmp_path).test.tolist() == [[1, 1000030]]


def test_id_lists_give_the_original_ids(tmp_path):
    put(
        tmp_path,
        train="0 1\n1 0\n",
        test="1 1\n",
        user_list="org_id remap_id\nbob 1\nann 0\n",
        item_list="org_id remap_id\n700 0\n-3 1\n",
    )
    files = read_lightgcn(tmp_path)
    assert files.user_ids.tolist() == ["ann", "bob"]
    assert files.item_ids.tolist() == ["700", "-3"]
    put(tmp_path, test="2 1\n")
    with pytest.raises(UserError, match=r"test.txt line 1: user 2 is not from 0 to 1"):
        read_lightgcn(tmp_path)


def test_id_lists_may_be_in_any_order(tmp_path):
    put(
        tmp_path,
        train="0 0\n1 1\n2 2\n",
        test="0 1\n",
        user_list="org_id remap_id\nb 2\nc 0\na 1\n",
        item_list="org_id remap_id\n30 1\n10 2\n20 0\n",
    )
    files = read_lightgcn(tmp_path)
    assert files.user_ids.tolist() == ["c", "a", "b"]
    assert files.item_ids.tolist() == [20, 30, 10]


def test_one_id_list_is_enough_to_number_the_items(tmp_path):
    put(
        tmp_path,
        train="0\t3\tPos\n",
        valid="1\t4\n",
        test="1\t3\n",
        user_list="org_id remap_id\na 0\nb 1\n",
    )
    assert read_pinsage(tmp_path).train.tolist() == [[0, 1]], "node 2 is item 0"
    (tmp_path / "user_list.txt").unlink()
    put(tmp_path, item_list="org_id remap_id\nA 0\n")
    with pytest.raises(UserError, match="item node 4 is not from 3 to 3"):
        read_pinsage(tmp_path)


def test_errors_after_the_first_batch_name_the_line(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 100)
    nodes = [f"{n % 3}\t{3 + n % 4}\n" for n in range(80)]
    nodes[61] = "0\tx\n"
    put(tmp_path, train="0\t3\tPos\n", valid="".join(nodes), test="1\t3\n")
    with pytest.raises(UserError, match=r"valid.txt line 62: item 'x'"):
        read_pinsage(tmp_path, (3, 4))
    listed = [f"i{n} {n}\n" for n in range(80)]
    for bad, message in ((" 70\n", "org_id is missing"), ("i70 x\n", "remap_id 'x'")):
        listed[70] = bad
        put(tmp_path, train="0 1\n", test="0 2\n", item_list="org_id remap_id\n" + "".join(listed))
        with pytest.raises(UserError, match=f"item_list.txt line 72: {message}"):
            read_lightgcn(tmp_path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("a 0\nb 2\n", "its ids are not numbered 0 to 1, each exactly once"),
        ("a 0\na 1\n", "its ids are not numbered 0 to 1, each exactly once"),
        ("a 0\nb x\n", "line 3: remap_id 'x' is not an integer"),
        ("a 0\nb\n", "line 3: 1 field where 2 columns are named"),
    ],
)
def test_malformed_id_lists_are_errors(tmp_path, lines, message):
    put(tmp_path, train="0 0\n", test="0 1\n", user_list="org_id remap_id\n" + lines)
    with pytest.raises(UserError, match=r"user_list\.txt") as error:
        read_lightgcn(tmp_path)
    assert message in str(error.value)


@pytest.mark.skipif(not ZHIHU.exists(), reason="the authors' Zhihu files are not available")
def test_authors_test_files_contain_the_same_pairs_in_both_formats():
    nodes, _ = read_nodes(ZHIHU / "pinsage" / "test.txt", typed=False)
    assert len(nodes) == 326_042 and nodes[:, 1].min() == 16_015
    nodes[:, 1] -= 16_015
    lines = read_adjacency(ZHIHU / "lightgcn" / "test.txt", (16_015, 44_175))
    keys = [np.sort(pairs[:, 0] * 44_175 + pairs[:, 1]) for pairs in (nodes, lines)]
    np.testing.assert_array_equal(*keys)
    valid, _ = read_nodes(ZHIHU / "pinsage" / "valid.txt", typed=False)
    assert len(valid) == 327_675
