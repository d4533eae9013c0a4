import dataclasses
import fcntl
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from recns_tf.config.config import Config, Workspace
from recns_tf.errors import UserError
from recns_tf.experiments import cells
from recns_tf.experiments.cells import DONE, NEW, STARTED, Cell
from recns_tf.utils import folders
from tests.experiments.worlds import finish

BASE = Config(khop=5, learning_rate=0.005)


def named(**changes):
    return cells.name_of(dataclasses.replace(BASE, **changes), BASE)


@pytest.mark.parametrize("changes", [{}, {"seed": 2}, {"sampler": "recns-o"}, {"sampler": "m:C"}])
def test_run_with_the_settings_of_the_flagfiles_has_its_usual_name(changes):
    config = dataclasses.replace(BASE, **changes)
    assert cells.name_of(config, BASE) == Workspace().run_folder(config).name


def test_names_show_differing_settings_in_shell_safe_characters():
    assert named(alpha="normal(0,0.5)", seed=1) == "ml-100k-lightgcn-recns-alpha=normal_0_0.5-seed1"
    assert named(khop=3, margin=0.2) == "ml-100k-lightgcn-recns-khop=3-margin=0.2"
    config = dataclasses.replace(BASE, khop=3)
    assert cells.name_of(config, BASE, "original") == "ml-100k-lightgcn-recns-original-khop=3"


def test_long_names_are_cut_and_remain_distinct():
    many = {"alpha": "normal(0.123456789,0.5)", "num_neighbors": "25,10," + "7," * 60 + "7"}
    one, other = named(**many, khop=3), named(**many, khop=7)
    assert one != other and max(len(one), len(other)) < 200
    assert named(**many, seed=4).endswith("-seed4")


def test_cells_without_the_metrics_of_the_papers_tables_are_an_error():
    with pytest.raises(UserError, match=r"^--topk=5,10: .* choose --topk=5,10,20\.$"):
        cells.make_cells(dataclasses.replace(BASE, topk="5,10"), [0], BASE)
    (cell,) = cells.make_cells(dataclasses.replace(BASE, topk="5,20"), [0], BASE)
    assert cell.name == "ml-100k-lightgcn-recns-topk=5_20"


def test_duplicate_cells_are_dropped_and_name_clashes_are_an_error():
    one = Cell("a", BASE)
    assert cells.unique_cells([one, Cell("b", BASE), one]) == [one, Cell("b", BASE)]
    with pytest.raises(UserError, match="two different runs have the name a"):
        cells.unique_cells([one, Cell("a", Config())])


def test_state_of_a_cell(tmp_path):
    (cell,) = cells.make_cells(BASE, [3], BASE)
    assert cell == Cell("ml-100k-lightgcn-recns-seed3", dataclasses.replace(BASE, seed=3))
    assert cells.state(cell, tmp_path) == NEW
    folder = finish(cell, tmp_path)
    assert cells.state(cell, tmp_path) == DONE
    (folder / "results.json").unlink()
    assert cells.state(cell, tmp_path) == STARTED
    (folder / "config.json").write_text("[]")
    with pytest.raises(UserError, match="damaged"):
        cells.state(cell, tmp_path)


def test_runs_finished_elsewhere_are_copied_whole_and_none_is_replaced(tmp_path):
    trials, runs = tmp_path / "trials", tmp_path / "runs"
    done, begun, unfinished, missing = (
        cells.make_cells(dataclasses.replace(BASE, khop=khop), [0], BASE)[0]
        for khop in (3, 5, 7, 9)
    )
    for cell in (done, begun, unfinished):
        finish(cell, trials, rows=[{"epoch": 1}])
    (trials / done.name / "embeddings").mkdir()
    (trials / done.name / "embeddings" / "user.npy").write_bytes(b"numbers")
    (trials / unfinished.name / "results.json").unlink()
    (runs / begun.name).mkdir(parents=True)
    wanted = [done, begun, unfinished, missing, done]
    assert cells.copy_finished(wanted, trials, runs) == 1
    assert cells.copy_finished(wanted, trials, runs) == 0
    assert [cells.state(cell, runs) for cell in wanted[:4]] == [DONE, NEW, NEW, NEW]
    assert {path.name for path in runs.iterdir()} == {done.name, begun.name}
    for path in (trials / done.name).rglob("*"):
        copy = runs / path.relative_to(trials)
        assert path.is_dir() or copy.read_bytes() == path.read_bytes()


def test_two_sweeps_that_copy_the_same_run_do_not_disturb_each_other(tmp_path, monkeypatch):
    """Both find it missing; the second would be refused, or replace what the first has copied."""
    trials, runs = tmp_path / "trials", tmp_path / "runs"
    cell = Cell("a", BASE)
    finish(cell, trials)
    copytree = shutil.copytree

    def slow(*arguments, **options):
        time.sleep(0.5)
        return copytree(*arguments, **options)

    monkeypatch.setattr(shutil, "copytree", slow)
    monkeypatch.setattr(folders, "READER_SECONDS", 0)
    with ThreadPoolExecutor(2) as pool:
        sweeps = [pool.submit(cells.copy_finished, [cell], trials, runs) for _ in range(2)]
        assert sorted(sweep.result() for sweep in sweeps) == [0, 1]
    assert cells.state(cell, runs) == DONE
    assert {path.name for path in trials.iterdir()} == {"a"}


def test_nothing_is_copied_if_no_trial_left_a_folder(tmp_path):
    assert cells.copy_finished([Cell("a", BASE)], tmp_path / "trials", tmp_path / "runs") == 0


def test_a_run_of_the_same_name_with_other_settings_is_not_copied(tmp_path):
    finish(Cell("a", dataclasses.replace(BASE, pool_size=7)), tmp_path / "trials")
    with pytest.raises(UserError, match="pool_size"):
        cells.copy_finished([Cell("a", BASE)], tmp_path / "trials", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_run_without_an_epoch_is_not_refused_for_other_settings(tmp_path):
    cell = Cell("a", BASE)
    folder = finish(cell, tmp_path)
    (folder / "results.json").unlink()
    other = Cell("a", dataclasses.replace(BASE, pool_size=7))
    assert cells.state(other, tmp_path) == STARTED
    (folder / "metrics.jsonl").write_text('{"epoch": 1}\n')
    with pytest.raises(UserError, match="pool_size"):
        cells.state(other, tmp_path)


def test_run_with_other_settings_is_refused_and_one_by_an_earlier_version_is_not(tmp_path):
    cell = Cell("a", BASE)
    folder = finish(cell, tmp_path)
    with pytest.raises(UserError, match=r"a holds .*\(khop 5 there, 3 here\): move it away"):
        cells.state(Cell("a", dataclasses.replace(BASE, khop=3)), tmp_path)
    results = json.loads((folder / "results.json").read_text())
    del results["config"]["pool_size"]
    (folder / "results.json").write_text(json.dumps(results))
    assert cells.state(cell, tmp_path) == DONE
    with pytest.raises(UserError, match="pool_size"):
        cells.state(Cell("a", dataclasses.replace(BASE, pool_size=7)), tmp_path)


def test_folder_is_locked_while_its_lock_file_is(tmp_path):
    cell = Cell("a", BASE)
    assert not cells.is_locked(cell, tmp_path)
    (tmp_path / "a").mkdir()
    with (tmp_path / "a" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cells.is_locked(cell, tmp_path)
    assert not cells.is_locked(cell, tmp_path)
