"""Each public log, with a small file in its exact format."""

import dataclasses

import numpy as np
import pytest

from recns_tf import datasets
from recns_tf.config.config import Config
from recns_tf.datasets import ccir_zhihu, kuairand_pure, mind, taobao
from recns_tf.datasets.formats import delimited
from recns_tf.datasets.preprocessing.log import to_interactions
from recns_tf.datasets.preprocessing.rules import Rules
from recns_tf.errors import UserError
from recns_tf.interactions import to_pairs

KUAIRAND = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,"
    "is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,comment_stay_time,"
    "is_profile_enter,is_rand,tab\n"
)
MIND = (
    "1\tU13740\t11/11/2019 9:05:58 AM\tN55189 N42782\tN55689-1 N35729-0\n"
    "2\tU91836\t11/12/2019 6:11:30 PM\t\tN20678-0 N39317-0 N55689-1\n"
    "3\tU13740\t11/13/2019 12:00:00 AM\tN55189\tN35729-1\n"
)
TAOBAO = (
    "user,time_stamp,adgroup_id,pid,nonclk,clk\n"
    "581738,1494137644,1,430548_1007,1,0\n"
    "449818,1494638778,3,430548_1007,0,1\n"
    "581738,1494137650,3,430539_1007,0,1\n"
)
CCIR = (
    "7\t3\tQ11|1525077160|0,A5|1525077161|1525077200,A9|1525077162|0\tsearch|1525070000\n"
    "12\t1\tA5|1525077300|1525077301\t\n"
)


def kuairand_row(user, video, time, click, long_view):
    return f"{user},{video},20220408,900,{time},{click},0,0,0,0,0,{long_view},1,9,0,0,0,0,1\n"


def write_files(tmp_path, name, files):
    folder = tmp_path / name
    folder.mkdir()
    for file, content in files.items():
        (folder / file).write_text(content)
    return Config(dataset=name)


def id_pairs(data, part):
    return {(data.user_ids[u], data.item_ids[v]) for u, v in to_pairs(getattr(data, part))}


def positives(data):
    return id_pairs(data, "train") | id_pairs(data, "valid") | id_pairs(data, "test")


@pytest.fixture
def kuairand(tmp_path):
    first, second = kuairand_pure.FILES
    return write_files(
        tmp_path,
        "kuairand-pure",
        {
            first: KUAIRAND
            + kuairand_row(1, 70, 1649400000123, 1, 1)
            + kuairand_row(1, 80, 1, 1, 0),
            second: KUAIRAND + kuairand_row(2, 70, 5, 0, 0) + kuairand_row(2, 80, 6, 1, 1),
        },
    )


def test_kuairand_pure_reads_both_logs(tmp_path, kuairand):
    data = datasets.load(kuairand, tmp_path)
    assert positives(data) == {(1, 70), (2, 80)}
    assert id_pairs(data, "exposed") == {(1, 80), (2, 70)}


def test_kuairand_pure_with_clicks_as_positives(tmp_path, kuairand):
    datasets.load(kuairand, tmp_path)  # must not reuse the cache of the other label
    clicks = datasets.load(dataclasses.replace(kuairand, positive_label="is_click"), tmp_path)
    assert positives(clicks) == {(1, 70), (1, 80), (2, 80)}
    assert id_pairs(clicks, "exposed") == {(2, 70)}


def test_kuairand_pure_has_timestamps(tmp_path, kuairand):
    log = kuairand_pure.load(
        tmp_path / "kuairand-pure", dataclasses.replace(kuairand, split="temporal")
    )
    assert log.train.nnz == 2


def test_mind(tmp_path):
    config = write_files(tmp_path, "mind", {"behaviors.tsv": MIND})
    config = dataclasses.replace(config, history="none")
    data = datasets.load(config, tmp_path)
    assert positives(data) == {("U13740", "N55689"), ("U91836", "N55689"), ("U13740", "N35729")}
    assert id_pairs(data, "exposed") == {("U91836", "N20678"), ("U91836", "N39317")}
    log = mind.read([tmp_path / "mind" / "behaviors.tsv"], "none")
    assert log.times.tolist() == [1573463158] * 2 + [1573582290] * 3 + [1573603200]
    assert log.train_only is None


def test_news_in_a_history_of_mind_are_train_positives(tmp_path):
    config = write_files(tmp_path, "mind", {"behaviors.tsv": MIND})
    datasets.load(dataclasses.replace(config, history="none"), tmp_path)  # another cache
    data = datasets.load(config, tmp_path)
    assert id_pairs(data, "train") == {
        ("U13740", "N55689"), ("U13740", "N35729"), ("U91836", "N55689"),
        ("U13740", "N55189"), ("U13740", "N42782"),
    }  # fmt: skip
    assert id_pairs(data, "exposed") == {("U91836", "N20678"), ("U91836", "N39317")}


HISTORY = (
    # Ten clicked news N0 to N9, one per day; N9 is also in the history, as are N20 and N21.
    "".join(
        f"{n}\tA\t11/{n + 1}/2019 1:00:00 PM\tN20 N9  N21\tN{n}-1 N20-0 N30-0\n" for n in range(10)
    )
    # A user without clicks, and one with a click and no history.
    + "10\tB\t11/1/2019 1:00:00 PM\tN20\tN1-0\n11\tC\t11/1/2019 1:00:00 PM\t\tN1-1\n"
)


@pytest.mark.parametrize("split", ["random", "temporal"])
def test_history_of_mind_is_never_held_out(tmp_path, split):
    """Of A's nine other news, round(0.9) is tested; in a temporal split, the last of them."""
    config = write_files(tmp_path, "mind", {"behaviors.tsv": HISTORY})
    seeds = range(1) if split == "temporal" else range(20)
    for seed in seeds:
        data = datasets.load(dataclasses.replace(config, split=split, split_seed=seed), tmp_path)
        train, valid, test = (id_pairs(data, part) for part in ("train", "valid", "test"))
        history = {("A", "N9"), ("A", "N20"), ("A", "N21"), ("B", "N20")}
        assert history <= train and len(valid) == len(test) == 1
        assert train | valid | test == history | {("A", f"N{n}") for n in range(9)} | {("C", "N1")}
        if split == "temporal":
            assert test == {("A", "N8")} and valid == {("A", "N7")}
        # N20 was shown, but is in the history; A's N30 was shown before the held-out news, too.
        assert id_pairs(data, "exposed") == {("A", "N30"), ("B", "N1")}


def test_rows_of_a_history_are_accounted_for(tmp_path):
    write_files(tmp_path, "mind", {"behaviors.tsv": HISTORY})
    log = mind.read([tmp_path / "mind" / "behaviors.tsv"])
    _, counts = to_interactions(log, "mind", Rules(user_core=1), {})
    # 30 + 2 impressions and 30 + 1 news in histories.
    assert counts.rows == 63 == sum(counts[1:])
    # A's history of three on ten lines, and N9 once more in an impression.
    assert counts.repeated_positives == 9 * 3 + 1
    assert counts.repeated_exposures == 9 + 9 and counts.conflicts == 1
    assert (counts.train, counts.valid, counts.test, counts.exposed) == (12, 1, 1, 2)


def test_history_of_mind_is_ignored_in_runs_of_earlier_versions():
    for name, value in (("mind", "none"), ("ml-100k", "train")):
        old = Config(dataset=name).to_json()
        del old["history"]
        assert Config.from_json(old) == Config(dataset=name, history=value)
        assert Config.from_json(old | {"history": "train"}).history == "train"


@pytest.mark.parametrize(
    "gap", [mark for mark in map(chr, range(0x3001)) if mark.isspace() and mark not in " \t\n\r"]
)
def test_white_space_other_than_spaces_does_not_join_impressions(tmp_path, gap):
    """Oracle: str.isspace. A field ends at a tab, and a line at a line break."""
    text = MIND.replace("N20678-0 N39317-0", f"N20678-0{gap}N39317-0")
    config = write_files(tmp_path, "mind", {"behaviors.tsv": text})
    with pytest.raises(UserError, match=r"line 2: impression 'N20678-0\\.*N39317-0' is not such"):
        datasets.load(config, tmp_path)
    (tmp_path / "mind" / "behaviors.tsv").write_text(MIND.replace("N55189 N", f"N55189{gap}N"))
    with pytest.raises(
        UserError, match=r"line 1: news in the history 'N55189\\.*N42782' is not an"
    ):
        datasets.load(config, tmp_path)
    write_files(
        tmp_path, "ccir-zhihu", {"training_set.txt": CCIR.replace("A5|1525077300", f"A{gap}5|7")}
    )
    with pytest.raises(UserError, match=r"line 2: impression 'A\\.*5|7|1525077301' is not item"):
        datasets.load(Config(dataset="ccir-zhihu"), tmp_path)


def test_further_spaces_between_impressions_are_ignored(tmp_path):
    text = MIND.replace("N20678-0 ", "  N20678-0   ").replace("N55189 N", "N55189  N")
    config = write_files(tmp_path, "mind", {"behaviors.tsv": text})
    spaced = datasets.load(config, tmp_path)
    (tmp_path / "mind" / "behaviors.tsv").write_text(MIND)
    assert spaced.checksum == datasets.load(config, tmp_path).checksum
    write_files(tmp_path, "ccir-zhihu", {"training_set.txt": CCIR.replace(",A", ", A")})
    data = datasets.load(Config(dataset="ccir-zhihu"), tmp_path)
    assert data.item_ids.tolist() == ["A5", "A9", "Q11"]


def test_flags_choose_the_split(tmp_path):
    """Two users with ten clicks each; later clicks have smaller item ids."""
    rows = [f"{user},{100 - n},{n},p,0,1\n" for user in (1, 2) for n in range(10)]
    rows.append("3,100,1,p,1,0\n")  # a user without clicks
    content = "user,time_stamp,adgroup_id,pid,nonclk,clk\n" + "".join(rows)
    config = write_files(tmp_path, "taobao", {"raw_sample.csv": content})
    temporal = datasets.load(dataclasses.replace(config, split="temporal"), tmp_path)
    assert id_pairs(temporal, "test") == {(1, 0), (2, 0)}
    assert id_pairs(temporal, "valid") == {(1, 1), (2, 1)}
    assert temporal.user_ids.tolist() == [1, 2]
    seeds = {
        frozenset(
            id_pairs(datasets.load(dataclasses.replace(config, split_seed=seed), tmp_path), "test")
        )
        for seed in range(4)
    }
    assert len(seeds) > 1
    with pytest.raises(UserError, match="--split_seed=3: taobao has a temporal split, which no"):
        datasets.load(dataclasses.replace(config, split="temporal", split_seed=3), tmp_path)


def test_public_logs_can_be_split_by_leave_one_out_and_in_time(tmp_path):
    """User 1 clicks items 0 to 3 in steps 0 to 3, user 2 items 0 to 2 in steps 10 to 12."""
    clicks = [(1, 0, 0), (1, 1, 1), (1, 2, 2), (1, 3, 3), (2, 0, 10), (2, 1, 11), (2, 2, 12)]
    rows = "".join(f"{user},{time},{item},p,0,1\n" for user, item, time in clicks)
    content = "user,time_stamp,adgroup_id,pid,nonclk,clk\n" + rows
    config = write_files(tmp_path, "taobao", {"raw_sample.csv": content})
    last = datasets.load(dataclasses.replace(config, split="leave-one-out"), tmp_path)
    assert id_pairs(last, "test") == {(1, 3), (2, 2)}
    assert id_pairs(last, "valid") == {(1, 2), (2, 1)}
    late = datasets.load(dataclasses.replace(config, split="global-temporal"), tmp_path)
    assert id_pairs(late, "test") == {(2, 2)} and id_pairs(late, "valid") == {(2, 1)}
    with pytest.raises(UserError, match="--split_seed=3: taobao has a leave-one-out split by time"):
        datasets.load(dataclasses.replace(config, split="leave-one-out", split_seed=3), tmp_path)


def test_error_in_a_later_batch_gives_the_right_line(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 300)
    lines = [f"{n}\tU{n % 7}\t11/11/2019 9:05:58 AM\t\tN{n}-1  N{n + 1}-0\n" for n in range(60)]
    config = write_files(tmp_path, "mind", {"behaviors.tsv": "".join(lines)})
    log = mind.read([tmp_path / "mind" / "behaviors.tsv"])
    assert len(log.users) == 120 and log.positive.sum() == 60
    for bad, message in (("N5", "impression 'N5'"), (f"N{'5' * 300}-1", "item has 301 characters")):
        lines[41] = f"9\tU1\t11/11/2019 9:05:58 AM\t\tN1-0 {bad}\n"
        path = tmp_path / "mind" / "behaviors.tsv"
        path.write_text("".join(lines))
        with pytest.raises(UserError, match=rf"behaviors.tsv line 42: {message}"):
            datasets.load(config, tmp_path)


def test_id_na_is_valid_in_public_logs(tmp_path):
    config = write_files(tmp_path, "mind", {"behaviors.tsv": MIND.replace("U91836", "NA")})
    assert ("NA", "N55689") in positives(datasets.load(config, tmp_path))


def test_ccir_user_with_many_items(tmp_path):
    triples = ",".join(f"A{n}|1525077160|{n % 2}" for n in range(20_000))
    config = write_files(tmp_path, "ccir-zhihu", {"training_set.txt": f"7\t{triples}\n"})
    assert datasets.load(config, tmp_path).num_items == 20_000


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("N39317-0", "N39317", "line 2: impression 'N39317' is not such as N55689-1 or N35729-0."),
        ("N39317-0", "N39317-2", "line 2: impression 'N39317-2' is not"),
        ("11/13/2019", "2019-11-13", "line 3: time '2019-11-13 12:00:00 AM' is not such as 11/11"),
        (
            "11/12/2019",
            "2/30/2019",
            "line 2: time '2/30/2019 6:11:30 PM' is not a time that exists",
        ),
        ("11/12/2019", "02/29/2019", "line 2: time '02/29/2019 6:11:30 PM' is not a time that"),
        ("11/12/2019", "4/31/2019", "line 2: time '4/31/2019 6:11:30 PM' is not a time that"),
        ("6:11:30", "6:11:60", "line 2: time '11/12/2019 6:11:60 PM' is not a time that"),
        ("11/12/2019", "11/12/19", "line 2: time '11/12/19 6:11:30 PM' is not a time that"),
        ("11/12/2019", "13/12/2019", "line 2: time '13/12/2019 6:11:30 PM' is not such as"),
        ("2\tU91836", "2\t", "line 2: user '' is not an id."),
        ("\tN35729-1\n", "\n", "line 3: 4 fields where 5 columns are named."),
    ],
)
def test_malformed_line_of_mind_is_an_error(tmp_path, old, new, message):
    config = write_files(tmp_path, "mind", {"behaviors.tsv": MIND.replace(old, new)})
    with pytest.raises(UserError, match=r"behaviors\.tsv") as error:
        datasets.load(config, tmp_path)
    assert message in str(error.value)
    assert [path.name for path in (tmp_path / "mind").iterdir()] == ["behaviors.tsv"]


def test_taobao(tmp_path):
    config = write_files(tmp_path, "taobao", {"raw_sample.csv": TAOBAO})
    data = datasets.load(config, tmp_path)
    assert positives(data) == {(449818, 3), (581738, 3)}
    assert id_pairs(data, "exposed") == {(581738, 1)}
    assert taobao.EVENTS.timestamp == "time_stamp"


@pytest.mark.parametrize("count", ["3\t", ""])
def test_ccir_zhihu(tmp_path, count):
    content = CCIR.replace("7\t3\t", f"7\t{count}").replace("12\t1\t", f"12\t{count}")
    config = write_files(tmp_path, "ccir-zhihu", {"training_set.txt": content})
    data = datasets.load(config, tmp_path)
    assert positives(data) == {(7, "A5"), (12, "A5")}
    assert id_pairs(data, "exposed") == {(7, "Q11"), (7, "A9")}
    log = ccir_zhihu.read([tmp_path / "ccir-zhihu" / "training_set.txt"])
    assert log.times.tolist() == [1525077160, 1525077161, 1525077162, 1525077300]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "A9|1525077162|0",
            "A9|1525077162",
            "line 1: impression 'A9|1525077162' is not item|shown",
        ),
        ("A5|1525077300|", f"A5|{'9' * 19}|", "line 2: impression 'A5|9999999999999999999|1525"),
        ("A5|1525077300|", "A5|-5|", "line 2: impression 'A5|-5|1525077301' is not item|shown"),
        ("Q11|1525077160|0", "Q11", "line 1: no field is a list of item|shown|clicked"),
    ],
)
def test_malformed_line_of_ccir_zhihu_is_an_error(tmp_path, old, new, message):
    config = write_files(tmp_path, "ccir-zhihu", {"training_set.txt": CCIR.replace(old, new)})
    with pytest.raises(UserError, match=r"training_set\.txt") as error:
        datasets.load(config, tmp_path)
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["gowalla", "yelp2018", "amazon-book"])
def test_benchmarks_without_exposures(tmp_path, name):
    train = "".join(f"{user} {' '.join(map(str, range(20)))}\n" for user in range(3))
    lists = {
        "user_list.txt": "org_id remap_id\n" + "".join(f"u{n} {n}\n" for n in range(3)),
        "item_list.txt": "org_id remap_id\n" + "".join(f"i{n} {n}\n" for n in range(21)),
    }
    config = write_files(tmp_path, name, {"train.txt": train, "test.txt": "0 20\n2 20\n", **lists})
    data = datasets.load(config, tmp_path)
    assert id_pairs(data, "test") == {("u0", "i20"), ("u2", "i20")}
    assert data.train.nnz == 54 and data.valid.nnz == 6 and data.exposed.nnz == 0
    other = datasets.load(dataclasses.replace(config, split_seed=1), tmp_path)
    assert id_pairs(other, "valid") != id_pairs(data, "valid")
    assert positives(other) == positives(data) and id_pairs(other, "test") == id_pairs(data, "test")
    whole = datasets.load(dataclasses.replace(config, valid_share=0.0), tmp_path)
    assert whole.train.nnz == 60 and whole.valid.nnz == 0


@pytest.mark.parametrize(
    "name", ["kuairand-pure", "mind", "taobao", "ccir-zhihu", "yelp2018", "amazon-book"]
)
def test_message_about_missing_files_says_where_to_get_them(tmp_path, name):
    with pytest.raises(UserError, match=f"put .* of .*http.* into {tmp_path / name}/"):
        datasets.load(Config(dataset=name), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_changed_log_is_read_again(tmp_path):
    config = write_files(tmp_path, "taobao", {"raw_sample.csv": TAOBAO})
    before = datasets.load(config, tmp_path)
    path = tmp_path / "taobao" / "raw_sample.csv"
    path.write_text(TAOBAO + "449818,1494638779,8,430548_1007,0,1\n")
    after = datasets.load(config, tmp_path)
    assert positives(after) - positives(before) == {(449818, 8)}
    np.testing.assert_array_equal(after.item_ids, [1, 3, 8])
