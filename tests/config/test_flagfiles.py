from pathlib import Path

import pytest
from absl import flags

from recns_tf import registry
from recns_tf.config import flagfiles
from recns_tf.config.command_line import explicit_settings
from recns_tf.config.config import Config
from recns_tf.config.flags import explicit_flags, make_flags
from recns_tf.errors import UserError


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name.replace('_', '-')}.flags").write_text(text)


def test_later_files_win(tmp_path, monkeypatch):
    monkeypatch.setattr(flagfiles, "FOLDER", tmp_path)
    write(
        tmp_path,
        lightgcn="--dim=1\n--khop=3\n--l2=0.1\n--margin=0.1\n",
        toy="# a comment\n--khop=5\n--l2=0.2\n--margin=0.2\n",
        toy_lightgcn="--lr=0.3\n--margin=0.3\n",
        more="--margin=0.4\n",
    )
    files = flagfiles.find("toy", "lightgcn")
    config = Config.from_flagfiles("toy", "lightgcn", files)
    assert (config.dataset, config.encoder) == ("toy", "lightgcn")
    assert (config.dim, config.khop, config.l2, config.margin) == (1, 5, 0.2, 0.3)
    assert config.learning_rate == 0.3 and config.epochs == Config().epochs
    config = Config.from_flagfiles("toy", "lightgcn", [*files, tmp_path / "more.flags"], khop=7)
    assert config.margin == 0.4 and config.khop == 7


def test_reading_built_in_flagfiles_leaves_the_global_flags_unchanged():
    config = Config.for_run("ml-100k", "pinsage")
    assert (config.dim, config.khop, config.batch_size) == (256, 3, 2048)
    assert config.learning_rate == 0.003
    assert "khop" not in flags.FLAGS or flags.FLAGS["khop"].value == Config().khop


def test_flagfile_errors_name_the_file_or_flag(tmp_path):
    write(tmp_path, lightgcn="--no_such_flag=1\n", toy="--khop=4\n")
    with pytest.raises(UserError, match=r"lightgcn\.flags: Unknown command line flag"):
        Config.from_flagfiles("toy", "lightgcn", [tmp_path / "lightgcn.flags"])
    write(tmp_path, ngcf="--dim=ten\n")
    with pytest.raises(UserError, match=r"ngcf\.flags: --dim=ten: choose a whole number from 1"):
        Config.from_flagfiles("toy", "ngcf", [tmp_path / "ngcf.flags"])
    with pytest.raises(UserError, match="--khop=4: choose an odd number"):
        Config.from_flagfiles("toy", "lightgcn", [tmp_path / "toy.flags"])
    with pytest.raises(UserError, match=r"original\.flags is missing"):
        Config.from_flagfiles("toy", "lightgcn", [tmp_path / "original.flags"])


def test_explicit_flags_include_aliases():
    values = make_flags(Config)
    values(["program", "--khop=3", "--K_negs=15", "--sampler=DNS"])
    assert explicit_flags(Config, values=values) == {"khop", "num_negatives", "sampler"}


def test_explicit_settings_separates_flagfiles_from_flags(tmp_path):
    write(tmp_path, more="--khop=5\n")
    line = [
        *("ml-100k", "--strategy=DNS", f"--flagfile={tmp_path}/more.flags"),
        *("--seeds=0,1", "--flagfile", "other.flags", "--lr=0.5"),
    ]
    files, given = explicit_settings(line, "ml-100k", "lightgcn")
    assert files == [tmp_path / "more.flags", Path("other.flags")]
    assert given == {"sampler": "dns", "learning_rate": 0.5}
    assert explicit_flags(Config, flagfiles.parse(files[:1], Config)) == {"khop"}


def test_missing_built_in_flagfile_is_an_error(tmp_path, monkeypatch):
    """Otherwise a wheel without flagfiles would silently train with other settings."""
    monkeypatch.setattr(flagfiles, "FOLDER", tmp_path)
    write(tmp_path, pinsage="--dim=256\n")
    with pytest.raises(UserError, match=r"ml-100k\.flags is missing: it holds the settings of"):
        flagfiles.find("ml-100k", "pinsage")
    assert flagfiles.find("my-own-log", "pinsage") == [tmp_path / "pinsage.flags"]


def test_every_built_in_dataset_and_encoder_has_a_flagfile():
    for dataset in registry.DATASETS:
        for encoder in registry.ENCODERS:
            names = [path.stem for path in flagfiles.find(dataset, encoder)]
            assert names[:2] == [encoder, dataset]
            Config.for_run(dataset, encoder)


def test_built_in_flagfiles_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = flagfiles.locate(["--lr=1", "--flagfile=flags/original.flags", "--flagfile", "x.flags"])
    assert line == ["--lr=1", f"--flagfile={flagfiles.FOLDER}/original.flags", "--flagfile=x.flags"]
    (tmp_path / "flags").mkdir()
    (tmp_path / "flags" / "original.flags").write_text("--khop=5\n")
    assert flagfiles.locate(["--flagfile=flags/original.flags"]) == [
        "--flagfile=flags/original.flags"
    ]
