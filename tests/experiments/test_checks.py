"""Samplers that do not go with an encoder, a setting or the data of a sweep."""

import dataclasses

import pytest

from recns_tf import datasets, registry
from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.experiments import checks, plans
from recns_tf.experiments.cells import make_cells
from tests.experiments.worlds import SMALL, finish


def checked(samplers, runs_dir, encoders=("pinsage", "ngcf"), given=None, name="table2"):
    grid = plans.parse_grid("", samplers)
    experiment = plans.customize(name, encoders, grid, given or {})
    points = plans.plan(experiment, "ml-100k", (0, 1), given or {})
    return checks.trainable(experiment, points, runs_dir)


def test_all_leaves_out_what_an_encoder_refuses_and_says_so(tmp_path):
    points, left_out = checked("all", tmp_path)
    found = [(point.encoder, point.value) for point in points]
    without = [name for name in registry.SAMPLERS if name not in ("mixgcf", "dens")]
    assert found == [
        *(("pinsage", name) for name in without),
        *(("ngcf", name) for name in registry.SAMPLERS),
    ]
    assert left_out == [
        f"{name} is left out for pinsage: --sampler={name} chooses negatives in each layer of the "
        "encoder, which pinsage does not allow, since only its last layer is scored: choose "
        "another --sampler, or the encoder lightgcn, ngcf or mf."
        for name in ("mixgcf", "dens")
    ]
    assert not list(tmp_path.iterdir())


def test_all_leaves_out_what_a_setting_of_the_sweep_excludes(tmp_path):
    given = {"scores": "cosine"}
    points, (sentence,) = checked("all", tmp_path, ["lightgcn"], given, "table3")
    assert [point.value for point in points] == [n for n in registry.SAMPLERS if n != "dens"]
    assert sentence.startswith("dens is left out for lightgcn: --scores=cosine: --sampler=dens ")


@pytest.mark.parametrize("samplers", ["unins,dens", "all,dens"])
def test_a_typed_name_that_is_refused_is_an_error(samplers, tmp_path):
    with pytest.raises(UserError, match=r"^--sampler=dens chooses negatives in each layer"):
        checked(samplers, tmp_path)
    with pytest.raises(UserError, match=r"^--scores=cosine: --sampler=dens needs"):
        checked(samplers, tmp_path, ["lightgcn"], {"scores": "cosine"})


def test_a_sampler_of_the_command_line_that_is_refused_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"^--sampler=mixgcf chooses negatives in each layer"):
        checked("", tmp_path, ["pinsage"], {"sampler": "mixgcf"}, "fig4")


def test_finished_runs_are_not_checked(tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "parts_of", lambda config: pytest.fail("checked"))
    base = Config.for_run("ml-100k", "pinsage")
    for cell in make_cells(dataclasses.replace(base, sampler="mixgcf"), (0, 1), base):
        finish(cell, tmp_path)
    (point,), left_out = checked("mixgcf", tmp_path, ["pinsage"])
    assert (point.value, left_out) == ("mixgcf", [])


def test_the_run_of_a_folder_is_no_reason_to_leave_a_sampler_out(tmp_path):
    base = Config.for_run("ml-100k", "lightgcn")
    (cell,) = make_cells(dataclasses.replace(base, sampler="dens"), (0,), base)
    finish(cell._replace(config=dataclasses.replace(cell.config, margin=0.3)), tmp_path)
    with pytest.raises(UserError, match=r"dens holds a run with other settings \(margin 0.3 there"):
        checked("all", tmp_path, ["lightgcn"])


def test_samplers_that_lack_exposures_are_named(tmp_path):
    config = Config(dataset="synthetic", **SMALL | {"synthetic_exposures": 0})
    cells = [
        make_cells(dataclasses.replace(config, sampler=name), (0, 1), config)
        for name in registry.SAMPLERS
    ]
    cells = [cell for some in cells for cell in some]
    without = datasets.load(config, tmp_path)
    assert checks.note_on_exposures(cells, without) == (
        "synthetic has no exposures: what recns, recns-w, expns, mixedns, rns-as would take from "
        "them comes from the other items that the sampler draws from."
    )
    unins = [cell for cell in cells if cell.config.sampler == "unins"]
    assert checks.note_on_exposures(unins, without) == ""
    shown = datasets.load(Config(dataset="synthetic", **SMALL), tmp_path)
    assert checks.note_on_exposures(cells, shown) == ""
