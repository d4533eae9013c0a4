import csv

import pytest

from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.runs.published import TABLES, published


def test_published_results_are_found_by_the_settings_in_their_table(tmp_path):
    path = tmp_path / "tables.csv"
    path.write_text(
        "table,dataset,encoder,sampler,khop,num_layers,recall@20,ndcg@20,hr@20\n"
        "2,ml-100k,lightgcn,dns,,3,1.5,2.5,3.5\n"
        "4,ml-100k,lightgcn,recns,5,3,4.91,5.55,55.37\n"
    )
    found = published(Config(sampler="recns", khop=5), path)
    assert found == {"table": "4", "recall@20": 0.0491, "ndcg@20": 0.0555, "hr@20": 0.5537}
    assert published(Config(sampler="recns", khop=3), path) is None
    assert published(Config(sampler="dns", khop=7), path)["recall@20"] == 0.015
    assert published(Config(sampler="dns", num_layers=2), path) is None
    assert published(Config(sampler="dns", topk="5,20"), path)["recall@20"] == 0.015
    for other in ({"topk": "20,50"}, {"select_by": "ndcg@20"}):
        assert published(Config(sampler="dns", **other), path) is None, "selected by another metric"


@pytest.mark.parametrize(
    "content", [b"\n2,ml-100k,lightgcn,recns,3,3,many,2,3\n", b"\xff\xfe\x00", None]
)
def test_damaged_tables_are_one_sentence(tmp_path, content):
    path = tmp_path / "tables.csv"
    if content is not None:
        path.write_bytes(TABLES.read_bytes()[:300] + content)
    with pytest.raises(UserError, match=r"tables\.csv is (damaged|missing).*install the package"):
        published(Config(sampler="recns", khop=3), path)


def test_paper_tables_are_complete():
    rows = TABLES.read_text().splitlines()
    assert len(rows) == 1 + 48 + 18 + 12 + 12
    with TABLES.open(newline="") as file:
        cells = {tuple(row.values())[:6]: row for row in csv.DictReader(file)}
    assert cells["2", "zhihu", "lightgcn", "recns", "3", "3"]["recall@20"] == "4.91"
    assert cells["3", "alibaba", "pinsage", "rns-as", "", ""]["hr@20"] == "5.21"
    assert cells["4", "alibaba", "lightgcn", "recns", "7", "3"]["ndcg@20"] == "3.02"
    assert cells["5", "zhihu", "ngcf", "recns", "3", "4"]["recall@20"] == "3.94"
