import dataclasses

import pytest

from recns_tf.config.config import Config
from recns_tf.errors import UserError
from recns_tf.experiments import ablation
from recns_tf.experiments.ablation import Preset
from recns_tf.samplers.parts import Parts
from tests.experiments.worlds import line

PLAIN = {"lightgcn": "--dim=32\n", "ngcf": "", "pinsage": "", "toy": "--batch_size=64\n--khop=3\n"}
AUTHORS = "--khop=5\n--eval_every=20\n--patience=5\n--margin=0.5\n--message_dropout=0.3\n"


@pytest.fixture
def flagfiles(tmp_path, monkeypatch):
    monkeypatch.setattr("recns_tf.config.flagfiles.FOLDER", tmp_path)
    files = {**PLAIN, "original": AUTHORS, "paper": "--loss=augmented_hinge\n"}
    for name, text in files.items():
        (tmp_path / f"{name}.flags").write_text(text)
    return tmp_path


def presets(folder, encoder="lightgcn", from_paper=False, **given):
    return ablation.presets("toy", encoder, given, from_paper)


def test_rows_are_the_differing_settings_relevant_for_the_encoder(flagfiles):
    original, default = presets(flagfiles)
    assert (original.config.khop, original.config.margin, original.config.dim) == (5, 0.5, 32)
    rows = ablation.make_rows(original, default, [0, 1])
    assert [(row.change, row.cells[0].name) for row in rows] == [
        ("as it is", "toy-lightgcn-recns-original"),
        ("khop 5 → 3", "toy-lightgcn-recns-original-khop=3"),
        ("margin 0.5 → 0.1", "toy-lightgcn-recns-original-margin=0.1"),
        (
            "eval_every 20 → 1, patience 5 → 10",
            "toy-lightgcn-recns-original-eval_every=1-patience=10",
        ),
    ]
    assert [cell.name[-6:] for row in rows for cell in row.cells[1:]] == ["-seed1"] * 4
    backwards = ablation.make_rows(default, original, [0])
    assert [row.cells[0].name for row in backwards] == [
        "toy-lightgcn-recns", "toy-lightgcn-recns-khop=5", "toy-lightgcn-recns-margin=0.5",
        "toy-lightgcn-recns-eval_every=20-patience=5",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("encoder", "together", "alone"),
    [
        ("lightgcn", [("eval_every", "patience", "validate_on", "valid_share")], ["adjacency"]),
        ("pinsage", [("eval_every", "eval_first", "patience")], ["keep", "initializer"]),
        ("ngcf", [("adjacency", "ngcf_form")], ["message_dropout"]),
    ],
)
def test_settings_of_the_presets_that_need_each_other_are_one_choice(encoder, together, alone):
    """Any of them alone would train without validation, or be refused by NGCF."""
    original, default = ablation.presets("ml-100k", encoder, {}, False)
    found = ablation.differing_settings(original.config, default.config)
    assert {*together, *((name,) for name in alone)} <= set(found)
    for base, target in ((original, default), (default, original)):
        for row in ablation.make_rows(base, target, [0]):
            config = row.cells[0].config
            Parts.load(config).check(config)
            assert config.validate_on == "test" or config.valid_share > 0


def test_the_scale_of_a_preset_does_not_decide_how_long_its_ablation_trains():
    """The authors' 50 epochs are meant for Zhihu, like their batch size."""
    original, default = ablation.presets("ml-100k", "pinsage", {}, False)
    expected = Config.for_run("ml-100k", "pinsage").epochs
    assert original.config.epochs == default.config.epochs == expected != 50


def test_both_presets_take_settings_of_scale_from_the_dataset(flagfiles):
    (flagfiles / "original.flags").write_text("--batch_size=8192\n--dim=64\n--khop=5\n")
    original, default = presets(flagfiles)
    for config in (original.config, default.config):
        assert (config.batch_size, config.dim) == (64, 32)
    assert ablation.differing_settings(original.config, default.config) == [("khop",)]
    base, khop = ablation.make_rows(original, default, [0])
    # As for runs with the authors' flagfile, names show the settings that differ from it.
    assert base.cells[0].name == "toy-lightgcn-recns-original-dim=32-batch_size=64"
    assert khop.cells[0].name == "toy-lightgcn-recns-original-khop=3-dim=32-batch_size=64"


def test_each_row_changes_a_single_choice(flagfiles):
    original, default = presets(flagfiles)
    base, khop, *_ = ablation.make_rows(original, default, [0])
    expected = dataclasses.replace(base.cells[0].config, khop=3)
    assert khop.cells[0].config == expected


def test_rows_and_original_flagfile_depend_on_the_encoder(flagfiles):
    original, default = presets(flagfiles, "ngcf")
    assert ("message_dropout",) in ablation.differing_settings(original.config, default.config)
    (flagfiles / "original-pinsage.flags").write_text("--num_neighbors=10,25\n--node_dropout=0.1\n")
    original, default = presets(flagfiles, "pinsage")
    assert ablation.differing_settings(original.config, default.config) == [("num_neighbors",)]


def test_paper_preset_and_settings_from_the_command_line(flagfiles):
    original, paper = presets(flagfiles, from_paper=True, khop=7, epochs=2)
    assert paper.name == "paper" and paper.config.loss == "augmented_hinge"
    choices = ablation.differing_settings(original.config, paper.config)
    assert ("loss",) in choices and ("khop",) not in choices
    base, *_ = ablation.make_rows(paper, original, [0])
    assert base.cells[0].name == ("toy-lightgcn-recns-khop=7-loss=augmented_hinge-epochs=2"), (
        "settings from the command line are part of the name"
    )


def test_settings_of_flagfiles_from_the_command_line_are_not_varied(flagfiles, tmp_path):
    (tmp_path / "more.flags").write_text("--khop=3\n--dim=16\n")
    further = [tmp_path / "more.flags"]
    one, other = ablation.presets("toy", "lightgcn", {}, False, further)
    assert one.config.khop == other.config.khop == 3 and one.config.dim == 16
    assert ("khop",) not in ablation.differing_settings(one.config, other.config)


def test_missing_flagfile_is_an_error(flagfiles):
    (flagfiles / "original.flags").unlink()
    with pytest.raises(UserError, match=r"original\.flags is missing"):
        presets(flagfiles)


def test_relevance_of_a_setting_follows_its_help_text():
    config = Config(encoder="ngcf", sampler="srns", dataset="zhihu")
    names = (
        *("khop", "message_dropout", "num_neighbors", "srns_weight", "mcns_mix", "layout"),
        *("positive_label", "generator_dim", "region_definition"),
    )
    relevant = [name for name in names if ablation.is_relevant(name, config)]
    assert relevant == ["khop", "message_dropout", "srns_weight", "layout", "region_definition"]


BASE = line("base", 0.10, 0.12)
LINES = [BASE, line("khop 5 → 3", 0.13, 0.12), line("l2", 0.08), line("loss")]


def test_differences_are_paired_by_seed():
    assert ablation.paired_differences(LINES[1], BASE, "recall@20") == pytest.approx([0.03, 0.0])
    table = ablation.markdown(LINES)
    # The sample standard deviation of .03 and 0 is .03 / √2.
    assert table[3] == (
        "| khop 5 → 3 | 12.50 ± 0.71 | 6.25 ± 0.35 | 50.00 ± 0.00 "
        "| +1.50 ± 2.12 | +0.75 ± 1.06 | +0.00 ± 0.00 |"
    )
    assert table[4] == "| l2 | 8.00 | 4.00 | 50.00 | -2.00 | -1.00 | +0.00 |"
    assert table[5] == "| loss | — | — | — | — | — | — |"
    rows = ablation.csv_rows("original", LINES)
    assert rows[3]["difference"] == pytest.approx(0.015) and rows[0]["difference"] == 0
    assert rows[9]["mean"] == rows[9]["difference"] == ""


def test_plot_is_written_as_png_and_svg(tmp_path):
    ablation.plot_differences(
        {"from original": LINES, "from default": LINES[:1]}, "title", tmp_path / "a"
    )
    assert (tmp_path / "a.png").exists() and "khop 5" in (tmp_path / "a.svg").read_text()


def test_preset_lists_its_flagfiles(flagfiles):
    original, default = presets(flagfiles)
    assert isinstance(original, Preset)
    assert [path.name for path in original.files] == [
        "lightgcn.flags", "toy.flags", "original.flags",
    ]  # fmt: skip
    assert [path.name for path in default.files] == ["lightgcn.flags", "toy.flags"]
