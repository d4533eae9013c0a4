"""The command similar: the lists of similar_items and similar_users, printed or in a file."""

import json
import os

import numpy as np
import pytest

import recns_tf as rt
from recns_tf.main import main
from tests.commands.test_recommend import place, rows_of, worlds  # noqa: F401  (fixtures)
from tests.commands.worlds import refusal


def cosines(run, kind):
    """Return the ids of a run's users or items, and the cosines of all pairs, by hand."""
    model = rt.load(f"runs/{run}")
    table = model.embeddings[kind == "item"].astype(np.float64)
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    return getattr(model.data, f"{kind}_ids").tolist(), table @ table.T


def test_printed_lists_are_an_aligned_table(place, capsys):  # noqa: F811
    main(["similar", "runs/numbers", "--items=10, 171", "--topk=3"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "item  similar_item  rank   score"
    assert len({len(line) for line in lines}) == 1
    ids, found = cosines("numbers", "item")
    for number, line in enumerate(lines[1:]):
        item, other, rank, score = line.split()
        row = ids.index([10, 171][number // 3])
        best = [place for place in np.argsort(-found[row]) if place != row][number % 3]
        assert (int(item), int(other), int(rank)) == (ids[row], ids[best], number % 3 + 1)
        assert score == f"{found[row, best]:.4f}"


@pytest.mark.parametrize("kind", ["item", "user"])
def test_all_lists_in_a_file(place, kind, capsys):  # noqa: F811
    main(["similar", "runs/text", f"--{kind}s=all", "--topk=4", "--output=a.jsonl"])
    ids, found = cosines("text", kind)
    rows = [json.loads(line) for line in (place / "a.jsonl").read_text().splitlines()]
    assert list(rows[0]) == [kind, f"similar_{kind}", "rank", "score"]
    assert [row[kind] for row in rows] == [each for each in ids for _ in range(4)]
    for number, row in enumerate(rows):
        values = sorted(np.delete(found[number // 4], number // 4), reverse=True)
        assert row["score"] == pytest.approx(values[number % 4], abs=1e-6)
        assert row["score"] == pytest.approx(
            found[number // 4, ids.index(row[f"similar_{kind}"])], abs=1e-6
        )
    assert capsys.readouterr().out == f"{place}/a.jsonl: {4 * len(ids)} rows.\n"


def test_ids_with_commas_are_read_from_a_file(place, capsys):  # noqa: F811
    (place / "ids.txt").write_text('tv, 5\nthe "1"\n')
    main(["similar", "runs/text", "--items=@ids.txt", "--topk=2", "--output=a.parquet"])
    frame = rt.load("runs/text", frames="dict").similar_items(["tv, 5", 'the "1"'], k=2)
    table = rows_of_any(place / "a.parquet")
    assert table == {name: each.tolist() for name, each in frame.items()}
    main(["similar", "runs/text", "--items=é2", "--topk=1"])
    assert capsys.readouterr().out.splitlines()[-1].startswith("é2    ")


def rows_of_any(path):
    import pyarrow.parquet as pq

    return pq.read_table(path).to_pydict()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "--items or --users is needed, one of the two."),
        (["--items=3", "--users=u1"], "--items or --users is needed, one of the two."),
        (["--items=all"], "--items=all needs --output: a file that ends in .parquet"),
        (["--users=all", "--output=a.txt"], "--output=a.txt: choose a name that ends in"),
        (["--users=u1,nobody,x"], "--users=u1,nobody,x: user 'nobody' is not in the data of toy, "
         "like 1 more of the 3 ids."),
        (["--users=u1", "--topk=40"], "--topk=40: choose at most 39, the number of other users."),
        (["--users=@none.txt"], "--users=@none.txt does not exist: name a file of user ids."),
        (["--users=,"], "--users=,: user '' is not in the data of toy, like 1 more of the 2 ids."),
        (["--users=u1", "--output=there.csv"], "there.csv already exists: choose another name"),
    ],
)  # fmt: skip
def test_illegal_flags_are_one_sentence(place, flags, sentence):  # noqa: F811
    (place / "there.csv").write_text("earlier")
    assert refusal("similar", "runs/text", *flags).startswith(sentence)
    assert sorted(os.listdir(place)) == ["data", "runs", "there.csv"]


def test_a_baseline_has_no_similar_items(place):  # noqa: F811
    sentence = refusal("similar", "runs/popular", "--items=3")
    assert sentence == (
        "runs/popular is of the baseline popular, which has no embeddings: choose the run of an "
        "encoder."
    )
