"""run.sh: it makes .venv once and hands the command line on."""

import shutil

import pytest

from tests.commands.test_train import ROOT, call


@pytest.fixture
def place(tmp_path):
    """A folder with run.sh and a stand-in for Python that records how it is called."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copy(ROOT / "run.sh", folder)
    (folder / "requirements.txt").write_text("one\n")
    (folder / "pyproject.toml").write_text("# two\n")
    return folder


def stand_in(place, extra=""):
    fake = place / "python"
    fake.write_text(
        "#!/usr/bin/env bash\n"
        f'echo "$RECNS_TF_PROGRAM: $@" >> {place}/log\n'
        'if [[ "$*" == *"-m venv"* ]]; then mkdir -p .venv/bin; cp "$0" .venv/bin/python; fi\n'
        f"{extra}"
    )
    fake.chmod(0o755)
    return str(fake)


def test_it_sets_up_once_and_passes_the_line_on(place):
    python = stand_in(place)

    def run(*arguments, script=place / "run.sh"):
        (place / "log").write_text("")
        done = call(script, *arguments, cwd="/", PYTHON=python)
        assert done.returncode == 0, done.stderr
        return (place / "log").read_text().splitlines()

    first = run("ml-100k", "lightgcn", "--seed=1")
    assert any("-m venv --clear .venv" in line for line in first)
    assert [line.split("--editable ")[1] for line in first if "pip install" in line] == ["."]
    assert first[-1] == f"{place}/run.sh: -m recns_tf ml-100k lightgcn --seed=1"
    for line in (["ml-100k", "lightgcn"], ["report", "a b", "--output=x.html"], ["help", "train"]):
        (only,) = [each for each in run(*line) if "sys.version_info" not in each]
        assert only == f"{place}/run.sh: -m recns_tf {' '.join(line)}"

    tests = run("test", "fast", "-k", "x")
    assert [line.split("--editable ")[1] for line in tests if "pip install" in line] == [".[test]"]
    assert tests[-1].endswith("-m recns_tf test fast -k x")
    assert not any("pip" in line for line in run("test"))
    assert not any("pip" in line for line in run("ml-100k", "lightgcn"))

    link = place.parent / "elsewhere" / "link.sh"
    link.parent.mkdir()
    link.symlink_to(place / "run.sh")
    assert run("ml-100k", "lightgcn", script=link)[-1] == f"{link}: -m recns_tf ml-100k lightgcn"
    assert list(link.parent.iterdir()) == [link]

    (place / "requirements.txt").write_text("two\n")
    again = run("ml-100k", "lightgcn")
    assert any("pip install" in line for line in again) and not any("venv --" in x for x in again)


def test_usage_needs_no_environment(place):
    python = stand_in(place)
    for arguments in ([], ["--help"]):
        assert call(place / "run.sh", *arguments, PYTHON=python).returncode == 0
    assert not (place / ".venv").exists()
    done = call("./run.sh")
    assert done.returncode == 0 and "Usage: ./run.sh DATASET ENCODER" in done.stdout


def test_a_broken_installation_is_reported_and_repeated(place):
    python = stand_in(place, 'if [[ "$*" == *"pip install"* ]]; then exit 1; fi\n')
    for _ in range(2):
        done = call(place / "run.sh", "ml-100k", "lightgcn", PYTHON=python)
        assert done.returncode == 1
        assert "the packages of runtime could not be installed" in done.stderr
        assert "Setting up .venv" in done.stderr


def test_no_python_and_no_requirements_are_reported(place):
    done = call(place / "run.sh", "ml-100k", "lightgcn", PYTHON="/nonexistent")
    assert done.returncode == 1 and "Python 3.11, 3.12 or 3.13 is needed" in done.stderr
    (place / "requirements.txt").unlink()
    done = call(place / "run.sh", "ml-100k", "lightgcn", PYTHON="/nonexistent")
    assert done.returncode == 1 and "requirements.txt or pyproject.toml is missing" in done.stderr
