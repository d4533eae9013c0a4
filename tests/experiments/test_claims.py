"""The table of published results."""

import csv

import pytest

from recns_tf.errors import UserError
from recns_tf.experiments import claims

CURVE = {
    "name": "curve", "dataset": "synthetic", "encoder": "mf", "sampler": "unins", "loss": "bpr",
    "settings": "--dim=4 --eval_every=2", "metric": "recall@20", "epoch": "4", "value": ".25",
    "tolerance": "10%", "length": "quick", "seconds": "0.5", "source": "a paper",
}  # fmt: skip
BEST = CURVE | {"settings": "--dim=4", "epoch": "best"}
BASELINE = CURVE | {
    "encoder": "itemknn", "sampler": "", "loss": "", "epoch": "",
    "settings": "--itemknn_neighbors=20 --itemknn_shrink=0",
}  # fmt: skip


def write(path, *rows, columns=claims.COLUMNS):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_rows_of_a_name_are_one_entry(tmp_path):
    rows = (CURVE, CURVE | {"epoch": "2", "length": "long"}, CURVE | {"metric": "ndcg@20"})
    other = BASELINE | {"name": "other", "value": ".2-.3", "tolerance": ".01", "seconds": ""}
    entries = claims.read(write(tmp_path / "t.csv", *rows, other))
    assert list(entries) == ["curve", "other"]
    curve = entries["curve"]
    assert (curve.model, curve.seconds, curve.is_baseline) == ("mf", 0.5, False)
    assert [(each.epoch, each.metric, each.long) for each in curve.claims] == [
        (4, "recall@20", False), (2, "recall@20", True), (4, "ndcg@20", False),
    ]  # fmt: skip
    assert entries["other"].is_baseline and entries["other"].seconds is None
    assert entries["other"].grids.itemknn_neighbors == "20"
    assert entries["other"].claims[0].published == "0.2000–0.3000"


def test_a_run_trains_on_all_pairs_and_is_measured_on_test_without_stopping_early(tmp_path):
    rows = (CURVE, CURVE | {"epoch": "8"})
    entry = claims.read(write(tmp_path / "t.csv", *rows))["curve"]
    config = entry.config(entry.claims, seed=3)
    assert (config.validate_on, config.valid_share, config.seed) == ("test", 0.0, 3)
    assert (config.sampler, config.loss, config.dim, config.eval_every) == ("unins", "bpr", 4, 2)
    assert config.epochs == config.patience == 8
    assert entry.config(entry.claims[:1]).epochs == 4
    best = claims.read(write(tmp_path / "b.csv", BEST | {"settings": "--epochs=7 --patience=3"}))
    config = best["curve"].config(best["curve"].claims)
    assert (config.epochs, config.patience) == (7, 3)


@pytest.mark.parametrize(
    ("value", "tolerance", "ours", "difference", "agrees"),
    [
        (".2", ".01", 0.2099, 0.0099, True),
        (".2", ".01", 0.2101, 0.0101, False),
        (".2", ".01", 0.1899, -0.0101, False),
        (".2", "10%", 0.1801, -0.0199, True),
        (".2", "10%", 0.1799, -0.0201, False),
        (".2-.4", "10%", 0.3, 0.0, True),
        (".2-.4", "10%", 0.4399, 0.0399, True),
        (".2-.4", "10%", 0.4401, 0.0401, False),
        (".2-.4", "10%", 0.1799, -0.0201, False),
        (".2-.4", "0", 0.2, 0.0, True),
    ],
)
def test_tolerances_are_absolute_or_relative_and_on_either_side(
    tmp_path, value, tolerance, ours, difference, agrees
):
    row = CURVE | {"value": value, "tolerance": tolerance}
    (claim,) = claims.read(write(tmp_path / "t.csv", row))["curve"].claims
    assert claim.difference(ours) == pytest.approx(difference)
    assert claim.agrees(ours) is agrees


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (CURVE | {"dataset": "moon"}, "there is no dataset 'moon'"),
        (CURVE | {"encoder": "gcn"}, "there is no encoder 'gcn'"),
        (CURVE | {"encoder": "x:Y"}, "there is no encoder 'x:Y'"),
        (CURVE | {"sampler": ""}, "an encoder has a sampler and a loss"),
        (CURVE | {"sampler": "no"}, "--sampler=no: choose one of"),
        (CURVE | {"loss": "no"}, "--loss=no: choose one of"),
        (BASELINE | {"loss": "bpr"}, "an encoder has a sampler and a loss"),
        (CURVE | {"settings": "--dims=4"}, "Unknown command line flag 'dims'"),
        (CURVE | {"settings": "--dim=x"}, "--dim=x: choose a whole number"),
        (CURVE | {"settings": "--dim=0"}, "--dim=0: choose a whole number"),
        (CURVE | {"settings": "dim=4"}, "'dim=4' is not a flag"),
        (CURVE | {"settings": "--dim='4"}, "No closing quotation"),
        (CURVE | {"settings": "--validate_on=valid"}, "--validate_on is not one of its settings"),
        (CURVE | {"settings": "--seed=1"}, "--seed is not one of its settings"),
        (CURVE | {"settings": "--sampler=dns"}, "--sampler is not one of its settings"),
        (CURVE | {"settings": "--epochs=9"}, "--epochs and --patience follow from its epochs"),
        (CURVE | {"settings": "--eval_every=3"}, "epoch 4 is not measured with these settings"),
        (BASELINE | {"settings": "--itemknn_shrink=0"}, "itemknn needs a single number"),
        (BASELINE | {"epoch": "3"}, "a baseline has none"),
        (CURVE | {"epoch": ""}, "an encoder has one"),
        (CURVE | {"epoch": "0"}, "its epoch '0' is not a number"),
        (CURVE | {"epoch": "last"}, "its epoch 'last' is not a number"),
        (CURVE | {"metric": "recall@10"}, "'recall@10' is not a metric of the run"),
        (CURVE | {"metric": "auc"}, "'auc' is not a metric of the run"),
        (CURVE | {"value": "high"}, "its value 'high' is not a number"),
        (CURVE | {"value": "nan"}, "its value 'nan' is not a number"),
        (CURVE | {"value": ".4-.2"}, "is not a number or a range"),
        (CURVE | {"value": ".1-.2-.3"}, "is not a number or a range"),
        (CURVE | {"tolerance": "3 %"}, "its tolerance '3 ' is not a number"),
        (CURVE | {"tolerance": "-.1"}, "its tolerance '-.1' is not a number"),
        (CURVE | {"length": "short"}, "its length 'short' is not quick or long"),
        (CURVE | {"seconds": "fast"}, "its seconds 'fast' is not a number"),
        (CURVE | {"source": ""}, "it has no source"),
        (CURVE | {"name": "../x"}, "'../x' is not a name"),
    ],
)
def test_a_damaged_row_is_one_sentence_with_its_line(tmp_path, row, sentence):
    good = CURVE | {"name": "good"}
    path = write(tmp_path / "t.csv", good, row, good | {"epoch": "2"})
    with pytest.raises(UserError) as error:
        claims.read(path)
    message = str(error.value)
    assert message.startswith(f"{path}, line 3 is damaged") and "\n" not in message
    assert message.endswith(": install the package again.")
    if len(str(error.value.__cause__)) <= 100:
        assert sentence in message
    assert sentence in str(error.value.__cause__)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (CURVE, "recall@20 of this epoch is there twice"),
        (CURVE | {"epoch": "best"}, "an entry has values of the epoch 'best' or of numbered ones"),
        (CURVE | {"epoch": "2", "settings": "--dim=5"}, "its settings is not that of the first"),
        (CURVE | {"epoch": "2", "loss": "ccl"}, "its loss is not that of the first row of curve"),
    ],
)
def test_rows_of_an_entry_that_contradict_each_other_are_damaged(tmp_path, row, sentence):
    path = write(tmp_path / "t.csv", CURVE, row)
    with pytest.raises(UserError, match=rf"t\.csv, line 3 is damaged \(.*{sentence}"):
        claims.read(path)


def test_a_damaged_file_is_one_sentence(tmp_path):
    path = tmp_path / "t.csv"
    with pytest.raises(UserError, match=r"t\.csv is missing: install the package again\.$"):
        claims.read(path)
    write(path, CURVE, columns=claims.COLUMNS[:-1])
    with pytest.raises(UserError, match=r"t\.csv is damaged.*: install the package again\.$"):
        claims.read(path)
    write(path)
    with pytest.raises(UserError, match=r"t\.csv is damaged \(it has no rows\)"):
        claims.read(path)
    path.write_text(path.read_text() + "a,b\n")
    with pytest.raises(UserError, match=r"t\.csv, line 2 is damaged \(it does not have 13 fields"):
        claims.read(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"t\.csv is damaged"):
        claims.read(path)


def test_the_table_of_the_package():
    entries = claims.read(claims.TABLE)
    values = {
        (name, claim.epoch, claim.metric): (claim.low, claim.high, claim.tolerance)
        for name, entry in entries.items()
        for claim in entry.claims
    }
    assert values["gowalla-lightgcn", 20, "recall@20"] == (0.1233, 0.1233, "3%")
    assert values["gowalla-lightgcn", 1000, "ndcg@20"] == (0.1546, 0.1546, "3%")
    assert values["gowalla-mf", 15, "recall@20"] == (0.1573, 0.1573, "3%")
    assert values["gowalla-ngcf", "best", "recall@20"] == (0.157, 0.157, "3%")
    assert values["gowalla-ease", "", "ndcg@20"] == (0.1467, 0.1467, "3%")
    assert values["toy-rns", "best", "recall@20"] == (0.0444, 0.0444, ".0035")
    assert all(each.tolerance != "0" for entry in entries.values() for each in entry.claims)
    quick = {name for name, entry in entries.items() if not all(e.long for e in entry.claims)}
    assert {"gowalla-lightgcn", "toy-rns"} <= quick
    assert all(entries[name].seconds for name in quick), "the time of a default run is known"
    lightgcn = entries["gowalla-lightgcn"]
    config = lightgcn.config(lightgcn.claims[:2])
    assert (config.epochs, config.num_layers, config.dim, config.l2) == (20, 3, 64, 1e-4)
    assert (config.pair_sampling, config.batch_size) == ("users", 2048)
