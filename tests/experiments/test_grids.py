import dataclasses

import pytest

from recns_tf import registry
from recns_tf.commands.reproduce import dataset_and_experiments
from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.experiments import grids, panels, plans, principle_grids
from recns_tf.experiments.cells import unique_cells


def planned(name, numbers=(0,), given=None, encoders=(), grid=None):
    experiment = plans.customize(name, encoders, grid or {}, given or {})
    return plans.plan(experiment, "zhihu", numbers, given or {})


def test_grids_match_the_paper():
    points = {name: planned(name) for name in grids.PAPER}
    sizes = {name: len(found) for name, found in points.items()}
    assert sizes == {
        "table2": 24, "table3": 12, "table4": 9, "table5": 8, "fig4": 5, "fig5": 4, "fig6": 16,
        "fig7": 9, "fig8": 6, "fig9": 7,
    }  # fmt: skip
    assert tuple(grids.PAPER) == registry.PAPER_EXPERIMENTS
    assert tuple(grids.EXPERIMENTS) == registry.EXPERIMENTS
    samplers = {point.value for name in ("table2", "table3") for point in points[name]}
    later = {"dns-mn", "ahns", "bns", "mixgcf", "dens", "inbatch", "ppr-hard"}
    assert samplers == registry.SAMPLERS.keys() - {"recns-o", "recns-w"} - later
    assert {(point.encoder, point.value) for point in points["table5"]} == {
        (encoder, layers) for encoder in ("ngcf", "lightgcn") for layers in (1, 2, 3, 4)
    }


def test_experiments_on_the_principle_change_one_thing_at_a_time():
    configs = {
        name: [c.config for p in planned(name) for c in p.cells]
        for name in principle_grids.PRINCIPLE
    }
    assert {name: len(found) for name, found in configs.items()} == {
        "loss": 16, "exposures": 5, "control": 3, "density": 16,
    }  # fmt: skip
    plain = Config.for_run("zhihu", "lightgcn")
    fields = [field.name for field in dataclasses.fields(Config)]
    changed = {
        name: {
            field
            for config in found
            for field in fields
            if getattr(config, field) != getattr(plain, field)
        }
        for name, found in configs.items()
    }
    assert changed == {
        "loss": {"sampler", "num_negatives", "loss"},
        "exposures": {"exposed_weight"},
        "control": {"region"},
        "density": {"sampler", "train_share"},
    }
    kinds = {(config.num_negatives, config.loss) for config in configs["loss"]}
    assert kinds == {(k, loss) for k in (1, 15) for loss in ("bpr", "pairwise_hinge")}


def test_all_means_the_experiments_of_the_paper():
    assert dataset_and_experiments(["density", "all", "x"]) == (
        "x",
        [*registry.PAPER_EXPERIMENTS, "density"],
    )


def test_settings_that_differ_between_panels_cannot_be_given():
    with pytest.raises(UserError, match=r"^--train_share is what density varies: leave the flag"):
        plans.customize("density", [], {}, {"train_share": 0.3})
    with pytest.raises(UserError, match=r"^--loss is what loss varies: leave the flag out\.$"):
        plans.customize("loss", [], {}, {"loss": "bpr"})
    plans.customize("table4", [], {}, {"sampler": "recns-o"})


def test_experiments_share_equal_runs():
    cells = {name: {c.name for p in planned(name) for c in p.cells} for name in grids.EXPERIMENTS}
    ordinary = {f"zhihu-{encoder}-recns" for encoder in panels.ALL_ENCODERS}
    for name in ("table2", "table3", "table4", "fig7", "fig8"):
        assert ordinary <= cells[name], name
    assert "zhihu-pinsage-recns" in cells["fig4"] & cells["fig5"] & cells["fig6"] & cells["fig9"]
    everything = [cell for name in grids.EXPERIMENTS for p in planned(name) for cell in p.cells]
    assert len(unique_cells(everything)) < len(everything)


def test_runs_differ_only_in_the_varied_setting_and_the_seed():
    for point in planned("table4", numbers=(0, 1), encoders=["ngcf"]):
        first, second = (cell.config for cell in point.cells)
        assert (first.khop, first.sampler, first.encoder) == (point.value, "recns", "ngcf")
        assert dataclasses.replace(first, seed=1) == second
        # flags/ngcf.flags and flags/zhihu.flags
        assert first.learning_rate == 0.0005 and first.num_negatives == 15


def test_command_line_fixes_settings_of_all_runs_except_varied_ones():
    given = {"epochs": 3, "sampler": "recns-o"}
    configs = [c.config for p in planned("table4", given=given) for c in p.cells]
    assert {(config.epochs, config.sampler) for config in configs} == {(3, "recns-o")}
    with pytest.raises(UserError, match="--khop is what table4 varies: choose values with --grid"):
        plans.customize("table4", [], {}, {"khop": 3})
    with pytest.raises(UserError, match="--khop=4: choose an odd number"):
        planned("table4", grid={"khop": (4,)})


def test_flagfile_from_the_command_line_is_in_the_name_and_the_grid_overrides_it(tmp_path):
    (tmp_path / "original.flags").write_text("--khop=3\n--margin=0.3\n")
    found = plans.plan(
        plans.customize("table4", ["ngcf"], {}, {}), "zhihu", [0], {}, [tmp_path / "original.flags"]
    )
    assert [(point.cells[0].name, point.cells[0].config.khop) for point in found] == [
        ("zhihu-ngcf-recns-original", 3), ("zhihu-ngcf-recns-original-khop=5", 5),
        ("zhihu-ngcf-recns-original-khop=7", 7),
    ]  # fmt: skip
    assert {point.cells[0].config.margin for point in found} == {0.3}


def test_encoders_samplers_and_grid_replace_those_of_the_paper():
    grid = plans.parse_grid("dim=64 128; margin=;num_candidates=5", samplers="RecNS,dns")
    assert grid == {
        "dim": (64, 128), "margin": (), "num_candidates": (5,), "sampler": ("recns", "dns")
    }  # fmt: skip
    points = planned("fig6", grid=grid, encoders=["lightgcn"])
    assert [(p.panel, p.encoder, p.value) for p in points] == [
        (0, "lightgcn", 64), (0, "lightgcn", 128), (1, "lightgcn", 5),
    ]  # fmt: skip
    assert {p.value for p in planned("table2", grid=grid)} == {"recns", "dns"}
    assert plans.parse_grid("alpha=normal(0,1) 0.5") == {"alpha": ("normal(0,1)", "0.5")}


@pytest.mark.parametrize("experiment", ["table2", "table3"])
@pytest.mark.parametrize(("text", "samplers"), [("", "ALL"), ("sampler=all", "")])
def test_all_samplers_are_those_of_the_registry(experiment, text, samplers):
    grid = plans.parse_grid(text, samplers)
    points = planned(experiment, encoders=["ngcf"], grid=grid)
    assert [point.value for point in points] == list(registry.SAMPLERS)
    assert [point.cells[0].config.sampler for point in points] == list(registry.SAMPLERS)


def test_typed_names_beside_all_are_not_optional():
    grid = plans.parse_grid("", "dens,all,a:Own")
    assert grid == {"sampler": ("dens", "all", "a:Own")}
    (panel,) = plans.customize("table2", [], grid, {}).panels
    others = [name for name in registry.SAMPLERS if name != "dens"]
    assert panel.values == ("dens", *others, "a:Own")
    assert panel.optional == set(others)
    (paper,) = plans.customize("table2", [], {}, {}).panels
    assert paper.optional == set()


@pytest.mark.parametrize(("text", "samplers"), [("", "dns,every"), ("sampler=every", "")])
def test_unknown_sampler_is_an_error_that_names_the_legal_values(text, samplers):
    legal = f"choose all, or some of {', '.join(registry.SAMPLERS)}"
    with pytest.raises(UserError, match=f"^--samplers: unknown sampler 'every': {legal}"):
        plans.parse_grid(text, samplers)
    with pytest.raises(UserError, match=r"'unin': choose .* Did you mean 'unins'\?$"):
        plans.parse_grid("", "unin")


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        ("dim", "'dim' is not SETTING=VALUES"),
        ("size=3", "'size=3' is not SETTING=VALUES"),
        ("dim=x", "'dim=x': choose a whole number from 1 to 65536"),
    ],
)
def test_malformed_grid_is_an_error(grid, sentence):
    with pytest.raises(UserError, match=sentence):
        plans.parse_grid(grid)


def test_unknown_names_and_empty_grids_are_errors():
    with pytest.raises(UserError, match="unknown experiment 'table9': choose one of table2"):
        plans.find_experiment("table9")
    with pytest.raises(UserError, match="unknown encoder 'gcn'"):
        plans.customize("table2", ["gcn"], {}, {})
    with pytest.raises(UserError, match="nothing of table4 is left"):
        plans.customize("table4", [], {"khop": ()}, {})
    found = {"table4": plans.find_experiment("table4"), "fig4": plans.find_experiment("fig4")}
    plans.check_grid({"khop": (3,)}, found)
    with pytest.raises(UserError, match="--samplers: table4, fig4 vary khop, num_negatives"):
        plans.check_grid({"sampler": ("dns",)}, found)


def test_panels_vary_existing_settings_and_contain_their_reference():
    names = {field.name for field in dataclasses.fields(Config)}
    for experiment in grids.EXPERIMENTS.values():
        for panel in experiment.panels:
            assert panel.setting in names
            assert panel.reference is None or panel.reference in panel.values
            assert set(panel.labels) <= set(panel.values)
