from pathlib import Path

import pytest
from absl import flags

from recns_tf import options
from recns_tf.config import Config
from recns_tf.errors import UserError
from recns_tf.experiments import settings


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name.replace('_', '-')}.flags").write_text(text)


def test_later_files_win_as_in_run_sh(tmp_path):
    write(
        tmp_path,
        lightgcn="--dim=1\n--khop=3\n--l2=0.1\n--margin=0.1\n",
        toy="# a comment\n--khop=5\n--l2=0.2\n--margin=0.2\n",
        toy_lightgcn="--lr=0.3\n--margin=0.3\n",
        more="--margin=0.4\n",
    )
    files = settings.flagfiles("toy", "lightgcn", tmp_path)
    config = settings.read("toy", "lightgcn", files)
    assert (config.dataset, config.encoder) == ("toy", "lightgcn")
    assert (config.dim, config.khop, config.l2, config.margin) == (1, 5, 0.2, 0.3)
    assert config.learning_rate == 0.3 and config.epochs == Config().epochs
    config = settings.read("toy", "lightgcn", [*files, tmp_path / "more.flags"], {"khop": 7})
    assert config.margin == 0.4 and config.khop == 7


def test_the_project_s_own_flagfiles_are_read_without_touching_the_program_s_flags():
    config = settings.read("ml-100k", "pinsage", settings.flagfiles("ml-100k", "pinsage"))
    assert (config.dim, config.khop, config.batch_size) == (256, 3, 2048)
    assert config.learning_rate == 0.003
    assert "khop" not in flags.FLAGS or flags.FLAGS["khop"].value == Config().khop


def test_a_bad_flagfile_is_named(tmp_path):
    write(tmp_path, lightgcn="--no_such_flag=1\n", toy="--khop=4\n")
    with pytest.raises(UserError, match=r"lightgcn\.flags: Unknown command line flag"):
        settings.read("toy", "lightgcn", [tmp_path / "lightgcn.flags"])
    with pytest.raises(UserError, match="--khop=4: choose an odd number"):
        settings.read("toy", "lightgcn", [tmp_path / "toy.flags"])
    with pytest.raises(UserError, match=r"original\.flags is missing"):
        settings.read("toy", "lightgcn", [tmp_path / "original.flags"])


def test_given_flags_are_those_of_the_command_line_by_any_spelling():
    values = flags.FlagValues()
    options.define_flags(Config, among=values)
    values(["program", "--khop=3", "--K_negs=15", "--sampler=DNS"])
    assert options.given(Config, among=values) == {"khop", "num_negatives", "sampler"}


def test_a_command_line_s_flagfiles_are_told_from_its_flags(tmp_path):
    write(tmp_path, more="--khop=5\n")
    line = [
        *("program", "ml-100k", "--strategy=DNS", f"--flagfile={tmp_path}/more.flags"),
        *("--seeds=0,1", "--flagfile", "other.flags", "--lr=0.5"),
    ]
    files, given = settings.from_command_line(line, "ml-100k", "lightgcn")
    assert files == [tmp_path / "more.flags", Path("other.flags")]
    assert given == {"sampler": "dns", "learning_rate": 0.5}
    _, names = settings.parse("ml-100k", "lightgcn", files[:1])
    assert names == {"khop"}
