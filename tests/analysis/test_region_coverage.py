import json
import sys

import numpy as np
import pytest

from recns_tf.analysis.region_coverage import measure_coverage
from recns_tf.interactions import make_interactions
from recns_tf.regions.region import build_region
from tests.commands.test_train import call
from tests.conftest import make_toy, members


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(40, 60, 0.15), (60, 4_500, 0.01)])
def test_coverage_matches_the_regions(shape):
    """With one block of items, and with three."""
    toy = make_toy(*shape)
    result = measure_coverage(toy, (3, 5))
    train = toy.train.toarray()
    for n, khop in enumerate((3, 5)):
        inside = members(train, "intermediate", khop, "walk")
        np.testing.assert_allclose(result.coverage[khop], inside.mean(axis=1))
        region = build_region(toy.train, khop=khop)
        assert result.coverage[khop].mean() == pytest.approx(region.coverage()["mean"])
        for part in ("valid", "test"):
            held_out = getattr(toy, part).toarray()
            assert result.pairs[part] == held_out.sum()
            assert result.inside[part][n] == pytest.approx(inside[held_out].mean())
            chance = inside.sum(axis=1) / (~train).sum(axis=1)
            weights = held_out.sum(axis=1)
            assert result.by_chance[part][n] == pytest.approx(np.average(chance, weights=weights))


def test_user_with_every_item_does_not_divide_by_zero():
    data = make_interactions(
        "full",
        train=np.array([[0, 0], [0, 1], [1, 0]]),
        valid=np.array([[1, 1]]),
        test=np.zeros((0, 2)),
        exposed=np.zeros((0, 2)),
        user_ids=np.arange(2),
        item_ids=np.arange(2),
        source={},
    )
    assert measure_coverage(data, (3,)).by_chance["valid"] == [1.0]


def chain(valid):
    """Return a path: user u has items u and u + 1; the last item has no user."""
    return make_interactions(
        "chain",
        train=np.array([[0, 0], [0, 1], [1, 1], [1, 2], [2, 2], [2, 3]]),
        valid=np.array(valid).reshape(-1, 2),
        test=np.zeros((0, 2)),
        exposed=np.zeros((0, 2)),
        user_ids=np.arange(3),
        item_ids=np.arange(5),
        source={},
    )


def test_coverage_of_a_path_graph():
    """User 0 has items 0 and 1; item 2 is 3 steps away, item 3 is 5, item 4 unreachable."""
    result = measure_coverage(chain(valid=((0, 2), (0, 3), (0, 4))), (3, 5))
    np.testing.assert_allclose(result.inside["valid"], [1 / 3, 2 / 3])
    np.testing.assert_allclose(result.by_chance["valid"], [1 / 3, 2 / 3])
    np.testing.assert_allclose(result.shells(result.inside["valid"]), [1 / 3] * 3)
    assert result.pairs == {"valid": 3, "test": 0}
    found = result.to_json()
    assert found["khop 5"]["valid"] == {
        "inside": pytest.approx(2 / 3),
        "by_chance": pytest.approx(2 / 3),
    }
    assert "test" not in found["khop 3"]
    assert "33.3% (33.3%)" in result.report() and "test" not in result.report()


def test_without_held_out_positives_only_coverage_is_reported():
    result = measure_coverage(chain(valid=()), (3,))
    assert list(result.to_json()["khop 3"]) == ["coverage"]
    assert "20.0%" in result.report()


@pytest.mark.slow
def test_command_writes_numbers_a_plot_and_the_cached_region(tmp_path):
    command = [sys.executable, "-m", "recns_tf", "regions", "synthetic-small"]
    done = call(*command, f"--data_dir={tmp_path}", "--khop=9")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "intermediate region, khop 9, walk definition" in done.stdout
    folder = tmp_path / "synthetic-small"
    about = json.loads((folder / "regions.json").read_text())
    assert list(about["intermediate"]) == ["khop 3", "khop 5", "khop 7", "khop 9"]
    assert about["region"]["khop"] == 9
    inside = [about["intermediate"][f"khop {khop}"]["test"]["inside"] for khop in (3, 5, 7, 9)]
    assert inside == sorted(inside) and 0 < inside[0] <= inside[-1] <= 1
    assert (folder / "regions.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(folder.glob("region-*/counts.npy"))) == 1
