"""prepare and export, killed or out of disk space anywhere, and two of them at once."""

import os
import shutil

import numpy as np
import pytest

from recns_tf import datasets, registry
from recns_tf.commands.prepare import make
from recns_tf.config.config import Config
from recns_tf.datasets import prepared
from recns_tf.datasets.preparation import Preparation
from recns_tf.errors import UserError
from tests import faults

FOLDERS = {
    "lightgcn": {"train.txt", "valid.txt", "test.txt", "train_exposed.txt"},
    "pinsage": {"train.txt", "valid.txt", "test.txt"},
}
LISTS = {"user_list.txt", "item_list.txt"}


def write_log(path, seed):
    pairs = np.random.default_rng(seed).permutation(200)[:120]
    rows = [f"{pair % 10},{pair // 10},{int(pair % 3 > 0)}" for pair in pairs]
    path.write_text("\n".join(["user_id,item_id,label", *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    return {name: write_log(folder / f"{name}.csv", seed) for seed, name in enumerate("ab")}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory, logs):
    """One data folder per log, with that log prepared as "shop", and its checksum."""
    found = {}
    for name, log in logs.items():
        data = tmp_path_factory.mktemp(name)
        make(Preparation(name="shop", input=str(log), label="label"), data / "shop")
        found[name] = data, load(data).checksum
    assert found["a"][1] != found["b"][1]
    return found


def load(data):
    """Do what every command does first: find the dataset and load it."""
    datasets.require("shop", data)
    return datasets.load(Config(dataset="shop"), data)


def prepare(data, log, *flags):
    words = ("prepare", "shop", f"--input={log}", "--label=label", f"--data_dir={data}", *flags)
    faults.command(*words)


def prepare_in(folder):
    """Prepare the log beside the data folder, with --overwrite."""
    prepare(folder / "data", folder.parent / "b.csv", "--overwrite")


def export_in(folder):
    """Export the dataset beside the folder in the format that its parent is named after."""
    parent = folder.parent
    words = ("export", "shop", str(folder / "out"), f"--format={parent.name}")
    faults.command(*words, f"--data_dir={parent / 'data'}")


def files_in(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "replacing"),
    [("killed", False), ("killed", True), ("full", False), ("full", True), ("read-only", True)],
)
def test_dataset_is_the_old_or_the_new_one_after_any_fault(tmp_path, logs, worlds, kind, replacing):
    shutil.copy(logs["b"], tmp_path / "b.csv")
    (old_data, old), (_, new) = worlds["a"], worlds["b"]

    def world(number):
        folder = tmp_path / str(number)
        if replacing:
            shutil.copytree(old_data, folder / "data")
        else:
            folder.mkdir()
        return folder

    found = []
    for folder, _ in faults.every_fault(world, prepare_in, faults.FAULTS[kind]):
        data = folder / "data"
        listed = registry.prepared_names(data)
        if listed:
            found.append(load(data).checksum)
            whole = next(place for place, checksum in worlds.values() if checksum == found[-1])
            assert set(os.listdir(data / "shop")) == set(os.listdir(whole / "shop"))
        else:
            found.append(None)
            with pytest.raises(UserError, match="unknown dataset 'shop'"):
                load(data)
        assert not data.exists() or os.listdir(data) == (["shop"] if listed else [])
        if found[-1] == new:
            with pytest.raises(UserError, match="already exists"):
                prepare(data, logs["b"])
        prepare(data, logs["b"], "--overwrite")
        assert load(data).checksum == new
    before = old if replacing else None
    assert found[0] == before
    assert set(found) == ({before, new} if kind == "killed" else {before})


@pytest.mark.slow
@pytest.mark.parametrize("layout", FOLDERS)
@pytest.mark.parametrize("kind", ["killed", "full"])
def test_export_is_whole_or_absent_after_any_fault(tmp_path, worlds, layout, kind):
    parent = tmp_path / layout
    shutil.copytree(worlds["a"][0], parent / "data")
    (parent / "whole").mkdir()
    export_in(parent / "whole")
    expected = files_in(parent / "whole" / "out")
    assert expected.keys() == FOLDERS[layout] | LISTS

    def world(number):
        (parent / str(number)).mkdir()
        return parent / str(number)

    was_whole = set()
    for folder, _ in faults.every_fault(world, export_in, faults.FAULTS[kind]):
        was_whole.add((folder / "out").exists())
        if (folder / "out").exists():
            assert files_in(folder / "out") == expected
            with pytest.raises(UserError, match="out already exists"):
                export_in(folder)
        else:
            export_in(folder)
            assert files_in(folder / "out") == expected
            assert os.listdir(folder) == ["out"], "the next command removes what was left"
    assert was_whole == ({False, True} if kind == "killed" else {False})


def prepare_at(barrier, data, log, *flags):
    barrier.wait()
    prepare(data, log, *flags)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), ("--overwrite",)])
def test_two_processes_prepare_one_name(tmp_path, logs, worlds, flags):
    for attempt in range(5):
        data = tmp_path / str(attempt)
        barrier = faults.CONTEXT.Barrier(2)
        processes = {
            name: faults.start(prepare_at, (barrier, data, log, *flags))
            for name, log in logs.items()
        }
        for process in processes.values():
            process.join()
        winners = {name for name, process in processes.items() if process.exitcode == 0}
        assert len(winners) == 1 or (flags and len(winners) == 2)
        assert load(data).checksum in {worlds[name][1] for name in winners}
        assert os.listdir(data) == ["shop"]


def test_prepare_is_refused_while_another_process_prepares_the_name(tmp_path, logs):
    with prepared.claim(tmp_path / "data" / "shop", overwrite=False):
        for flags in ((), ("--overwrite",)):
            with pytest.raises(UserError, match=r"another process is preparing .*/shop\.$"):
                prepare(tmp_path / "data", logs["a"], *flags)
        prepare_other = ("prepare", "other", f"--input={logs['a']}", "--label=label")
        faults.command(*prepare_other, f"--data_dir={tmp_path}/data")
    assert registry.prepared_names(tmp_path / "data") == ["other"]


def test_export_is_refused_while_another_process_writes_there(tmp_path, worlds):
    for name in ("table.csv", "folder"):
        with (
            prepared.folders.claim(tmp_path / name, "unused"),
            pytest.raises(UserError, match=f"another process is writing {tmp_path / name}"),
        ):
            layout = "lightgcn" if name == "folder" else "table"
            words = ("export", "shop", str(tmp_path / name), f"--format={layout}")
            faults.command(*words, f"--data_dir={worlds['a'][0]}")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["table.csv", "folder"])
def test_lock_of_an_export_killed_after_its_last_step_is_removed(tmp_path, worlds, name):
    layout = "lightgcn" if name == "folder" else "table"
    words = ("export", "shop", str(tmp_path / name), f"--format={layout}")
    faults.command(*words, f"--data_dir={worlds['a'][0]}")
    (tmp_path / f".{name}.recns-lock").touch()
    with pytest.raises(UserError, match="already exists"):
        faults.command(*words, f"--data_dir={worlds['a'][0]}")
    assert os.listdir(tmp_path) == [name]


def test_dataset_lost_between_two_renames_is_found_by_every_reader(tmp_path, worlds):
    data, checksum = worlds["a"]
    finders = (
        lambda place: load(place).checksum == checksum,
        lambda place: datasets.load(Config(dataset="shop"), place).checksum == checksum,
        lambda place: prepared.load(place / "shop", Config(dataset="shop")).checksum == checksum,
        lambda place: prepared.is_prepared(place / "shop"),
        lambda place: registry.prepared_names(place) == ["shop"],
    )
    for number, finds in enumerate(finders):
        place = tmp_path / str(number)
        shutil.copytree(data / "shop", place / ".shop.recns-old")
        (place / ".shop.recns-new").mkdir()
        assert finds(place)
        assert os.listdir(place) == ["shop"]


def test_dataset_replaced_while_it_is_read_is_read_again(tmp_path, worlds, logs, monkeypatch):
    data = tmp_path / "data"
    shutil.copytree(worlds["a"][0], data)
    rules, calls = prepared.split_rules, []

    def replace_first(*arguments, **options):
        if not calls:
            prepare(data, logs["b"], "--overwrite")
        calls.append(arguments)
        return rules(*arguments, **options)

    monkeypatch.setattr(prepared, "split_rules", replace_first)
    assert load(data).checksum == worlds["b"][1] and len(calls) == 2


def test_dataset_replaced_while_it_is_looked_up_is_found(tmp_path, worlds, monkeypatch):
    data = tmp_path / "data"
    shutil.copytree(worlds["a"][0], data)
    looked, looks = prepared.has_about, []

    def replace_first(directory):
        looks.append(directory)
        if len(looks) > 3:
            return looked(directory)
        shutil.copytree(directory, tmp_path / "copy")
        shutil.rmtree(directory)
        (tmp_path / "copy").rename(directory)
        return False

    monkeypatch.setattr(prepared, "has_about", replace_first)
    assert prepared.is_prepared(data / "shop") and len(looks) == 4
    assert not prepared.is_prepared(data / "absent") and len(looks) == 5
    (tmp_path / "file").touch()
    assert not prepared.is_prepared(tmp_path / "file" / "shop")


def test_damaged_dataset_is_read_only_once(tmp_path, worlds, monkeypatch):
    shutil.copytree(worlds["a"][0], tmp_path / "data")
    (tmp_path / "data" / "shop" / "prepared.json").write_text("{}")
    read, calls = prepared.load_once, []
    monkeypatch.setattr(prepared, "load_once", lambda *each: calls.append(each) or read(*each))
    with pytest.raises(UserError, match="is damaged"):
        load(tmp_path / "data")
    assert len(calls) == 1


def replace_in_turn(data, logs, times):
    for number in range(times):
        prepare(data, logs[number % 2], "--overwrite")


@pytest.mark.slow
def test_reader_sees_one_of_two_datasets_while_they_are_replaced(tmp_path, worlds, logs):
    data = tmp_path / "data"
    shutil.copytree(worlds["a"][0], data)
    writer = faults.start(replace_in_turn, (data, [logs["b"], logs["a"]], 30))
    allowed, count = {checksum for _, checksum in worlds.values()}, 0
    while writer.is_alive():
        assert load(data).checksum in allowed
        count += 1
    writer.join()
    assert writer.exitcode == 0 and count
