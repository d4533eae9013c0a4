"""Reading tables into a Log: ids, labels, times, several files, batches."""

import gzip
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from recns_tf.datasets.formats import delimited
from recns_tf.datasets.formats.events import Events
from recns_tf.datasets.formats.ids import BadValue, IdColumn
from recns_tf.datasets.formats.labels import is_label_filter, label_filter
from recns_tf.datasets.formats.logs import read_events
from recns_tf.datasets.formats.text import Layout
from recns_tf.datasets.formats.timestamps import TimeColumn, is_time_format
from recns_tf.errors import UserError

EVENTS = Events("user", "item", label="label")


def read(tmp_path, content, events=EVENTS, name="log.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_events([path], events)


def rows_of(log):
    return [
        (log.user_ids[user], log.item_ids[item], bool(positive))
        for user, item, positive in zip(log.users, log.items, log.positive, strict=True)
    ]


def numbered(*batches, any_text=False):
    column = IdColumn("id", any_text)
    for batch in batches:
        column.add(pa.array(batch))
    return column.finish()


def test_ids_are_numbered_in_ascending_order_over_all_batches():
    numbers, ids = numbered(["30", "4"], ["100", "4"])
    assert ids.tolist() == [4, 30, 100] and ids.dtype == np.int64
    assert numbers.tolist() == [1, 0, 2, 0] and numbers.dtype == np.int32


@pytest.mark.parametrize("text", ["b", "007", "0x1", "é", "1_0"])
def test_one_text_id_makes_all_ids_text(text):
    """Integers of earlier batches become text again."""
    numbers, ids = numbered(["30", "4"], [text])
    assert ids.tolist() == sorted(["30", "4", text])
    assert [ids[number] for number in numbers] == ["30", "4", text]


def test_integer_columns():
    assert numbered([3, 1, 3])[1].tolist() == [1, 3]
    assert numbered(pa.array([3, 1], pa.uint8()))[1].tolist() == [1, 3]


@pytest.mark.parametrize("batch", [["1", "-1"], [1, -1], ["1", "2.0"], [1.0, 2.0], ["1", "1e3"]])
def test_malformed_numbers_are_rejected_unless_any_text_is_allowed(batch):
    with pytest.raises(BadValue, match="is not an integer from 0 to") as error:
        numbered(["5"], batch)
    assert error.value.row == (1 if batch == [1.0, 2.0] else 2)
    assert len(numbered(["5"], batch, any_text=True)[1]) == 3


def test_number_too_large_for_int64_is_reported_at_its_first_row():
    assert numbered([str(2**63 - 1)])[1].tolist() == [2**63 - 1]
    with pytest.raises(BadValue, match=str(2**63)) as error:
        numbered(["1", "2"], ["3", str(2**63), str(2**63)])
    assert error.value.row == 3


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        (">=4", ["4", "3.9", "5"], [True, False, True]),
        (" > 0 ", [0, 1, 2], [False, True, True]),
        ("<2", [True, False], [True, True]),
        ("<=2", ["2.0", "2.1"], [True, False]),
        ("==1", ["1", "01", "1.0"], [True, True, True]),
        ("!=1", ["1", "2"], [False, True]),
        ("==click", ["click", "show"], [True, False]),
        ("!=show it", ["click", "show it"], [True, False]),
        (">0", ["True", "false"], [True, False]),
        ("==true", ["True", "False"], [True, False]),
        ("==True", [True, False], [True, False]),
        ("==cart|buy", ["cart", "view", "buy", "cart|buy"], [True, False, True, False]),
        ("!=view | skip", ["cart", "view", "skip"], [True, False, False]),
        ("==4|5", ["4.0", "4.5", "5"], [True, False, True]),
        ("!=4|5", [4, 4.5, 5], [False, True, False]),
        ("==4|five", ["4", "4.0", "five"], [True, False, True]),
    ],
)
def test_label_filters(text, labels, matches):
    arrow = pa.array(labels)
    if pa.types.is_boolean(arrow.type):
        arrow = arrow.cast(pa.int8())
    assert label_filter(text).matches(arrow, "label").tolist() == matches


def test_words_for_missing_values_are_ids_if_any_text_is_allowed():
    with pytest.raises(BadValue, match="id is missing"):
        numbered(["a", "NA"])
    assert numbered(["a", "NA"], any_text=True)[1].tolist() == ["NA", "a"]
    with pytest.raises(BadValue, match="id is missing"):
        numbered(["a", ""], any_text=True)


def test_length_of_ids_is_limited():
    assert numbered(["x" * 256])[1].tolist() == ["x" * 256]
    with pytest.raises(BadValue, match="has 257 characters, more than 256"):
        numbered(["x" * 257])


@pytest.mark.parametrize(
    "text", ["4", ">=", ">=four", "=4", ">nan", "==", "~4", "", ">4|5", "==a|", "==|"]
)
def test_invalid_label_filters(text):
    assert not is_label_filter(text)
    with pytest.raises(UserError, match="is not a comparison"):
        label_filter(text)


def times_of(*batches):
    column = TimeColumn("t")
    for batch in batches:
        column.add(batch if isinstance(batch, pa.Array) else pa.array(batch))
    return np.concatenate(column.batches).tolist()


DAY = 1649376000.0  # 2022-04-08
YEAR_9999 = 253402300799.0  # 9999-12-31T23:59:59


def test_times_are_numbers_or_iso_dates():
    assert times_of(["5", "1e3", "-2.5"], [7, 8]) == [5, 1000, -2.5, 7, 8]
    assert times_of(["2022-04-08", "2022-04-08 00:00:01"], ["2022-04-09"]) == [
        DAY, DAY + 1, DAY + 86400
    ]  # fmt: skip
    east = ["2022-04-08T08:00:00+08:00", "2022-04-08T00:00:00Z"]
    assert times_of(east) == [DAY, DAY]
    assert times_of(["2022-04-08 00:00:00 UTC", "2022-04-08 00:00:01.5 GMT"]) == [DAY, DAY + 1.5]
    assert times_of(["2022-04-08T00:00:00.000000001"]) == [DAY]
    nanoseconds = pa.array([1_649_376_000_000_000_001], pa.timestamp("ns"))
    assert times_of(nanoseconds, pa.array([19090], pa.date32())) == [DAY, DAY]


@pytest.mark.parametrize(
    ("batches", "row", "reason"),
    [
        ([["2022-04-08", "x"]], 1, "t 'x' is neither a number nor an ISO date"),
        ([["2022-04-08", "2022-13-01"]], 1, "t '2022-13-01' is neither"),
        ([["2022-04-08", ""]], 1, "t is missing"),
        ([["5", "2022-04-08"]], 1, "t '2022-04-08' is not a number"),
        ([["2022-04-08", "5"]], 1, "t '5' is neither"),
        ([["2022-04-08"], ["5"]], 0, "t '5' is a number, but each earlier value is a date"),
        (
            [["5"], ["2022-04-08"]],
            0,
            "t '2022-04-08' is a date, but each earlier value is a number",
        ),
        ([["2022-04-08"], ["2022-04-08T00:00:00Z"]], 0, "is a date with an offset from UTC, but"),
        ([["2022-04-08", "2022-04-08T00:00:00Z"]], 1, "is a date with an offset from UTC, but"),
        ([pa.array([1, None], pa.timestamp("s"))], 1, "t is missing"),
        ([pa.array([1], pa.time64("us"))], 0, "t holds time64"),
        ([["nan"]], 0, "t is missing"),
    ],
)
def test_invalid_and_mixed_times_are_errors(batches, row, reason):
    with pytest.raises(BadValue) as error:
        times_of(*batches)
    assert error.value.row == row and reason in error.value.reason


def test_dates_far_from_today_are_times_and_are_noted():
    dates = ["9999-12-31T23:59:59", "1601-01-01", "2022-04-08"]
    for batch in (dates, pa.array(dates).cast(pa.timestamp("us"))):
        column = TimeColumn("t")
        column.add(batch if isinstance(batch, pa.Array) else pa.array(batch))
        times, notes = column.finish()
        assert times.tolist() == [YEAR_9999, -11644473600.0, DAY]
        assert len(notes) == 1 and notes[0].startswith("2 dates of t are before 1900 or after 2200")


@pytest.mark.parametrize(
    ("numbers", "note"),
    [
        ([1672913520, 1672913603000], "1 like seconds, 1 like milliseconds since 1970"),
        ([1672913520, 1, 1672913603000000, 1672913603000001], "1 like seconds, 2 like microsec"),
        ([1672913520000, 1672913603000000000], "1 like milliseconds, 1 like nanoseconds"),
    ],
)
def test_mixed_units_are_noted(numbers, note):
    column = TimeColumn("t")
    column.add(pa.array(list(map(str, numbers))))
    ((text,)) = column.finish()[1]
    assert text.startswith("the numbers of t seem to mix units (") and note in text


@pytest.mark.parametrize("numbers", [[1, 1672913520], [8e8, 3e9], [1, 2, 3], [3e11, 3e12]])
def test_one_unit_is_not_noted(numbers):
    column = TimeColumn("t")
    column.add(pa.array(numbers))
    assert column.finish()[1] == []


def test_times_in_a_given_format():
    def parse(time_format, *texts):
        column = TimeColumn("t", time_format)
        column.add(pa.array(texts))
        return column.finish()[0].tolist()

    assert parse("%d.%m.%Y %H:%M", "8.4.2022 00:01", "08.04.2022 00:00") == [DAY + 60, DAY]
    assert parse("%a %b %d %H:%M:%S %z %Y", "Fri Apr 08 08:00:00 +0800 2022") == [DAY]
    for wrong in ("30.2.2022 00:00", "2022-04-08", "8.4.2022 00:00 ", "8.4.22 00:00"):
        with pytest.raises(BadValue, match=f"t '{wrong}' does not have the format") as error:
            parse("%d.%m.%Y %H:%M", "08.04.2022 00:00", wrong)
        assert error.value.row == 1


FORMATS = [
    "%d.%m.%Y %H:%M:%S", "%m/%d/%y %I:%M %p", "%b %d %Y", "%Y%m%d", "%Y-%m-%d %H:%M:%S.%f",
    "%d %B %Y, %H:%M", "%a %d %b %Y %H:%M:%S %z", "%Y-%j", "%Y week %W, %w", "%H:%M on %d/%m", "%s",
]  # fmt: skip


@pytest.mark.parametrize("time_format", FORMATS)
def test_times_are_those_of_strptime(time_format):
    """Also for days that Arrow would move to the next month."""
    rng = np.random.default_rng(0)
    whens = [datetime.fromtimestamp(int(each), UTC) for each in rng.integers(0, 2e9, 300)]
    texts = [f"{when:{time_format}}" for when in whens]
    texts += [text.replace("28", "30").replace("Apr 30", "Apr 31") for text in texts]
    for text in texts:
        column = TimeColumn("t", time_format)
        try:
            date = datetime.strptime(text, time_format)
        except ValueError:
            with pytest.raises(BadValue, match="does not have the format"):
                column.add(pa.array([text]))
            continue
        column.add(pa.array([text]))
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        assert column.finish()[0].tolist() == [date.timestamp()], text


def test_formats_of_times_are_checked():
    assert is_time_format("") and all(map(is_time_format, FORMATS[:-1]))
    assert not any(map(is_time_format, ("%Q", "%d.%m.%", "%F")))


MISSING = "user,item,label,when\na,x,1,5\n,y,1,6\nb,NA,1,7\nb,z,,8\nb,y,1,null\nb,w,0,9\n"


def test_rows_with_missing_values_are_dropped_and_counted(tmp_path):
    events = Events("user", "item", "label", "when", drop_missing=True)
    log = read(tmp_path, MISSING, events)
    assert rows_of(log) == [("a", "x", True), ("b", "w", False)]
    assert log.times.tolist() == [5, 9] and log.missing == 4
    named = read(tmp_path, MISSING, events._replace(any_text=True))
    assert rows_of(named)[1] == ("b", "NA", True) and named.missing == 3


def test_lines_of_errors_count_dropped_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 64)
    rows = "".join(f"{n if n % 3 else ''},{n},1\n" for n in range(100))
    with pytest.raises(UserError, match="line 102: label 'x' is not a number"):
        read(tmp_path, f"user,item,label\n{rows}b,y,x\n", EVENTS._replace(drop_missing=True))
    with pytest.raises(UserError, match=r"no row is left: all 2 lack a user, an item"):
        read(tmp_path, "user,item,label\n,1,1\n1,,1\n", EVENTS._replace(drop_missing=True))


@pytest.mark.parametrize("line", [2, 4])
def test_advice_is_given_to_those_who_can_follow_it(tmp_path, line):
    rows = ["1,1,1", "2,2,0", "3,3,1"]
    rows.insert(line - 2, "1,,1")
    content = "user,item,label\n" + "\n".join(rows)
    with pytest.raises(UserError, match=rf"line {line}: item is missing\.$"):
        read(tmp_path, content)
    with pytest.raises(
        UserError, match=f"line {line}: item is missing; --missing=drop leaves such"
    ):
        read(tmp_path, content, EVENTS._replace(advise=True))


HEADLESS = Events("u", "i", layout=Layout(names=("u", "i", "r")))


@pytest.mark.parametrize(
    ("content", "heading"),
    [
        ("userId,movieId,rating\n1,10,5\n2,20,4\n", "u 'userId'"),
        ("code,movie,rating\n1,10,5\n2,20,4\n", "u 'code'"),
        ("user,item,r\nann,pen,5\nbob,cup,4\n", "u 'user'"),
        ("7,item,r\nann,pen,5\nbob,cup,4\n", "i 'item'"),
        ("7,I,r\nann,pen,5\nbob,cup,4\n", "i 'I'"),
    ],
)
def test_a_heading_is_not_read_as_a_row(tmp_path, content, heading):
    with pytest.raises(UserError, match=rf"log\.csv line 1: {heading} looks like a heading, not"):
        read(tmp_path, content, HEADLESS)


def test_the_heading_of_a_later_file_is_found(tmp_path):
    (tmp_path / "a.csv").write_text("1,10,5\n2,20,5\n")
    (tmp_path / "b.csv").write_text("code,10,5\n2,20,5\n")
    with pytest.raises(UserError, match=r"b\.csv line 1: u 'code' looks like a heading"):
        read_events([tmp_path / "a.csv", tmp_path / "b.csv"], HEADLESS)


@pytest.mark.parametrize(
    "content", ["ann,10,5\nbob,20,4\n", "x1,10,5\nx1,20,4\n3,1,1\n", "1,10,5\ncode,20,4\n"]
)
def test_first_rows_that_are_no_headings(tmp_path, content):
    assert len(read(tmp_path, content, HEADLESS).users) == content.count("\n")


def test_a_heading_in_a_column_of_labels_is_suggested(tmp_path):
    with pytest.raises(UserError, match="r 'rating' is not a number; if this line is a heading, l"):
        read(tmp_path, "userId,movieId,rating\n1,10,5\n", HEADLESS._replace(label="r"))


@pytest.mark.parametrize(
    ("column", "labels", "noted"),
    [
        ("label", "010", True),
        ("Is_Click", "110", True),
        ("label", "111", False),
        ("label", "012", False),
        ("size", "010", False),
    ],
)
def test_a_column_of_labels_that_is_not_used_is_noted(tmp_path, column, labels, noted):
    rows = "".join(f"u,{n},{label}\n" for n, label in enumerate(labels))
    log = read(tmp_path, f"user,item,{column}\n{rows}", Events("user", "item", advise=True))
    ones = labels.count("1")
    text = f"the column '{column}', {3 - ones} times 0 and {ones} times 1, is not used"
    assert [note.startswith(text) for note in log.notes] == [True] * noted


def test_labels_that_do_not_occur_are_noted(tmp_path):
    content = "user,item,label\na,x,cart\na,y,view\nb,x,skip\n"
    events = EVENTS._replace(positive="==cart|purchse|by", exposed="==view|vew")
    assert read(tmp_path, content, events).notes == (
        "no label is 'by', 'purchse', which --positive names",
        "no label is 'vew', which --exposed names",
    )
    assert read(tmp_path, content, EVENTS._replace(positive="!=other")).notes == ()


def test_rows_that_are_not_positive_are_exposed_by_default(tmp_path):
    content = "user,item,label\na,x,5\na,y,1\nb,x,3\n"
    log = read(tmp_path, content, EVENTS._replace(positive=">=4"))
    assert rows_of(log) == [("a", "x", True), ("a", "y", False), ("b", "x", False)]
    assert log.ignored == 0 and log.times is None and log.parts is None


def test_label_filter_for_exposed_rows(tmp_path):
    content = "user,item,label\na,x,5\na,y,1\nb,z,3\n"
    log = read(tmp_path, content, EVENTS._replace(positive=">=4", exposed="<=1"))
    assert rows_of(log) == [("a", "x", True), ("a", "y", False)]
    assert log.ignored == 1 and log.item_ids.tolist() == ["x", "y"], "z was dropped"
    log = read(tmp_path, content, EVENTS._replace(positive=">=4", exposed="none"))
    assert rows_of(log) == [("a", "x", True)] and log.ignored == 2


def test_positive_filter_takes_precedence(tmp_path):
    log = read(tmp_path, "user,item,label\na,x,5\n", EVENTS._replace(exposed=">=1"))
    assert rows_of(log) == [("a", "x", True)]


def test_without_labels_all_rows_are_positive(tmp_path):
    log = read(tmp_path, "user,item\n1,2\n1,3\n", Events("user", "item"))
    assert rows_of(log) == [(1, 2, True), (1, 3, True)]


def test_several_files_form_one_log_and_errors_name_the_right_file(tmp_path):
    for name, rows in (("a.csv", "1,5,1\n2,6,0\n"), ("b.csv", "2,5,1\n3,7,1\n")):
        (tmp_path / name).write_text("user,item,label\n" + rows)
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    log = read_events(paths, EVENTS)
    assert rows_of(log) == [(1, 5, True), (2, 6, False), (2, 5, True), (3, 7, True)]
    (tmp_path / "b.csv").write_text("user,item,label\n2,5,1\n-3,7,1\n")
    with pytest.raises(UserError, match=r"b.csv line 3: user '-3'"):
        read_events(paths, EVENTS)
    (tmp_path / "b.csv").write_text("user,item,label\n-2,5,1\n3,7,1\n")
    with pytest.raises(UserError, match=r"b.csv line 2: user '-2'"):
        read_events(paths, EVENTS)


def test_ignored_rows_lose_their_times_and_parts(tmp_path):
    content = "user,item,label,t,split\na,x,1,5,test\na,y,0,6,train\na,z,1,7,valid\n"
    log = read(tmp_path, content, EVENTS._replace(exposed="none", timestamp="t", part="split"))
    assert log.times.tolist() == [5, 7] and log.parts.tolist() == [2, 1]


def test_exposures_need_no_part(tmp_path):
    content = "user,item,label,split\na,x,1,test\na,y,0,\na,z,1,\n"
    with pytest.raises(UserError, match="line 4: split '' is not one of train, valid, test"):
        read(tmp_path, content, EVENTS._replace(part="split"))
    log = read(tmp_path, content.replace("z,1,", "z,1,train"), EVENTS._replace(part="split"))
    assert log.parts.tolist() == [2, 0, 0]


def test_quoted_line_breaks_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 64)
    rows = [f'"two\nlines {n}",{n},{n},1\n' for n in range(100)]
    log = read(tmp_path, "note,user,item,label\n" + "".join(rows))
    assert log.user_ids.tolist() == list(range(100))


def test_error_after_a_long_field_names_the_line(tmp_path):
    content = f"user,item,label,note\n1,2,1,{'x' * 200_000}\n3,-4,0,y\n"
    with pytest.raises(UserError, match=r"line 3: item '-4'"):
        read(tmp_path, content)


def test_invalid_utf8_in_unread_columns_is_ignored(tmp_path):
    assert len(read(tmp_path, b"user,item,label,note\n1,2,1,\xff\n").users) == 1
    with pytest.raises(UserError, match=r"line 3: 2 fields where 4"):
        read(tmp_path, b"user,item,label,note\n1,2,1,\xff\n3,4\n")


def test_inter_extension_in_capitals_and_column_names_with_types(tmp_path):
    content = "user:token\titem:token\tlabel:float\n1\t2\t1\n"
    typed = EVENTS._replace(user="user:token", item="item:token", label="label:float")
    for events, name in ((EVENTS, "LOG.INTER"), (typed, "log.inter")):
        assert rows_of(read(tmp_path, content, events, name)) == [(1, 2, True)]


def test_large_files_are_read_in_batches_and_errors_name_the_line(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 2000)
    rows = [f"{n % 97},{n % 31},{n % 2}\n" for n in range(5000)]
    log = read(tmp_path, "user,item,label\n" + "".join(rows))
    assert len(log.users) == 5000
    for bad, message in (("x,1,yes\n", "label 'yes'"), ("x,,1\n", "item is missing")):
        rows[4321] = bad
        with pytest.raises(UserError, match=rf"log.csv line 4323: {message}"):
            read(tmp_path, "user,item,label\n" + "".join(rows))
    rows[4321] = "-5,1,1\n"
    with pytest.raises(UserError, match=r"log.csv line 4323: user '-5'"):
        read(tmp_path, "user,item,label\n" + "".join(rows))


def test_quotes_commas_and_line_breaks_in_fields(tmp_path):
    content = 'note,user,item,label\n"a, ""b""\nc",1,2,1\n,"3",4,"0"\nx,5,-6,0\n'
    with pytest.raises(UserError, match=r"log.csv line 5: item '-6'"):
        read(tmp_path, content)
    assert rows_of(read(tmp_path, content.replace("-6", "6")))[1] == (3, 4, False)


def test_missing_closing_quote_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"log.csv line \d+: .*quote"):
        read(tmp_path, 'user,item,label\n1,"2,1\n3,4,0\n5,6",7\n')


def test_quotes_are_literal_in_tab_separated_files(tmp_path):
    log = read(tmp_path, 'user\titem\tlabel\n"a\tb"\t1\n', name="log.tsv")
    assert rows_of(log) == [('"a', 'b"', True)]


def test_file_without_header_and_with_other_separator(tmp_path):
    events = EVENTS._replace(layout=Layout(";", ("user", "item", "label")))
    assert rows_of(read(tmp_path, "1;2;1\n", events, "log.dat")) == [(1, 2, True)]
    with pytest.raises(UserError, match=r"log.dat line 2: 2 fields where 3 columns are named"):
        read(tmp_path, "1;2;1\n1;2\n", events, "log.dat")
    with pytest.raises(UserError, match="no column 'label' among --columns=user,item,rating"):
        layout = Layout(";", ("user", "item", "rating"))
        read(tmp_path, "1;2;1\n", EVENTS._replace(layout=layout), "log.dat")


def test_gzip_file_with_several_members(tmp_path):
    content = gzip.compress(b"user,item,label\n1,2,1\n") + gzip.compress(b"3,4,0\n")
    assert rows_of(read(tmp_path, content, name="log.csv.gz")) == [(1, 2, True), (3, 4, False)]


@pytest.mark.parametrize(
    ("users", "row"),
    [
        (pa.array(["a", None]), 2),
        (pa.array([1, None]), 2),
        (pa.array([1, -1]), 2),
        (pa.array([1.0, float("nan")]), 2),
    ],
)
def test_errors_in_parquet_name_the_row(tmp_path, users, row):
    table = pa.table({"user": users, "item": [1, 2], "label": [1, 0]})
    pa.parquet.write_table(table, tmp_path / "log.parquet")
    with pytest.raises(UserError, match=rf"log.parquet row {row}: user"):
        read_events([tmp_path / "log.parquet"], EVENTS)


def test_parquet_column_types(tmp_path):
    table = pa.table(
        {
            "user": pa.array(["a", "b"]).dictionary_encode(),
            "item": pa.array([b" x ", b"y"], pa.binary()),
            "views": pa.array([" x ", "y"], pa.large_string()),
            "label": [True, False],
            "when": pa.array([10, 20], pa.timestamp("s")),
        }
    )
    pa.parquet.write_table(table, tmp_path / "log.parquet")
    log = read_events([tmp_path / "log.parquet"], EVENTS._replace(timestamp="when"))
    assert rows_of(log) == [("a", "x", True), ("b", "y", False)]
    assert log.times.tolist() == [10, 20]
    log = read_events([tmp_path / "log.parquet"], EVENTS._replace(item="views", positive="==True"))
    assert rows_of(log) == [("a", "x", True), ("b", "y", False)]
    with pytest.raises(UserError, match=r"log.parquet: no column 'who'; its columns are 'user'"):
        read_events([tmp_path / "log.parquet"], EVENTS._replace(user="who"))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[1], [2]]), "column 'user' has type list<"),
        (pa.array([b"\xff", b"a"]), "column 'user' contains text that is not UTF-8"),
        (pa.array([1, 2], pa.duration("s")), "column 'user' has type duration"),
    ],
)
def test_parquet_columns_that_cannot_be_ids(tmp_path, column, message):
    table = pa.table({"user": column, "item": [1, 2], "label": [1, 0]})
    pa.parquet.write_table(table, tmp_path / "log.parquet")
    with pytest.raises(UserError, match=r"log.parquet: ") as error:
        read_events([tmp_path / "log.parquet"], EVENTS)
    assert message in str(error.value)


def test_duplicate_parquet_column_is_an_error(tmp_path):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([1])], names=list("uui"))
    pa.parquet.write_table(table, tmp_path / "log.parquet")
    with pytest.raises(UserError, match="2 columns are named 'u'"):
        read_events([tmp_path / "log.parquet"], Events("u", "i"))


def test_parts_are_read_from_a_column(tmp_path):
    events = EVENTS._replace(part="split")
    log = read(tmp_path, "user,item,label,split\n1,2,1,test\n1,3,1,train\n1,4,0,valid\n", events)
    assert log.parts.tolist() == [2, 0, 1]
    with pytest.raises(UserError, match=r"line 2: split 'dev' is not one of train, valid, test"):
        read(tmp_path, "user,item,label,split\n1,2,1,dev\n", events)
