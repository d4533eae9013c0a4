"""The documentation: its links, commands, names and programs."""

import ast
import dataclasses
import functools
import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import recns_tf
from benchmarks.peers.__main__ import COMMAND as PEERS
from recns_tf import registry
from recns_tf.commands import app
from recns_tf.config.config import Config, Workspace
from recns_tf.errors import UserError
from recns_tf.training import load
from recns_tf.training.train import train_and_evaluate
from tests.test_layout import LEVELS

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
PAGES = (*GUIDE, "examples/README.md", "CONTRIBUTING.md", "CHANGELOG.md")
REVISED = ("README.md", "docs/architecture.md", "docs/packages.md", "docs/index.md", *PAGES[-2:])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)\)")
OTHER_FLAGS = {"editable", "no-deps", "mixed_precision"}
"""Flags of pip, and one that performance.md says does not exist."""

UNWANTED = re.compile(
    r"\b(neighbour|normalis|optimis|factoris|colour|summaris|personalis|catalogue|centre|behaviour"
    r"|licence|told|likewise|one's own|amiss|to the letter)",
    re.IGNORECASE,
)


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def prose(text):
    """Return the lines of a page that are in no code block."""
    return FENCE.sub("", text).splitlines()


def program(page):
    """Return the one Python program of a page."""
    (code,) = (body for language, body in FENCE.findall(read(page)) if language == "python")
    return code


def anchors(text):
    """Return the anchors of a page's headings, as GitHub names them."""
    found = set()
    for line in prose(text):
        if line.startswith("#"):
            heading = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", line.lstrip("# ")).lower()
            found.add(re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-"))
    return found


def command_lines(page):
    """Return the words after ./run.sh, or recns-tf, in the code blocks of a page."""
    lines = []
    for language, body in FENCE.findall(read(page)):
        if language in ("", "bash", "console", "sh", "shell", "text"):
            body = re.sub(r"\[(--[^]]+)\]", r"\1", body.replace("\\\n", " "))
            lines += re.findall(r"^[ $]*(?:\./run\.sh|recns-tf)\b(.*)$", body, re.MULTILINE)
    return [shlex.split(re.sub(r"\$\w+", "0", line), comments=True) for line in lines]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.slow
def test_user_defined_sampler_trains(place, toy, toy_config):
    (place / "nearest.py").write_text(program("docs/samplers.md"), encoding="utf-8")
    config = dataclasses.replace(toy_config, sampler="nearest:Nearest")
    workspace = Workspace(runs_dir="runs")
    results = train_and_evaluate(config, workspace, toy)
    assert workspace.run_folder(config).name == "ml-100k-lightgcn-nearest.Nearest"
    assert results["sampler"] == "nearest:Nearest" and results["epochs_run"] == 3
    model, _ = load.load(workspace.run_folder(config), interactions=toy, allow_custom=True)
    assert type(model.sampler).__name__ == "Nearest"


@pytest.mark.slow
def test_new_users_get_recommendations(place, toy, toy_config, monkeypatch, capsys):
    config = dataclasses.replace(toy_config, encoder="pinsage", epochs=1)
    train_and_evaluate(config, Workspace(), toy)
    monkeypatch.setattr(load, "load", functools.partial(load.load, interactions=toy))
    (place / "new_user.py").write_text(program("docs/encoders.md"), encoding="utf-8")
    capsys.readouterr()
    found = runpy.run_path("new_user.py")
    assert found["top"].shape == (1, 10) and not set(found["top"][0]) & {3, 9, 17}
    assert str(toy.item_ids[found["top"][0, 0]]) in capsys.readouterr().out
    assert np.isfinite(found["user"]).all()


def test_a_user_defined_part_that_cannot_be_loaded_is_an_error():
    for name in ("no_module:Thing", "recns_tf.samplers.unins:Nothing", ":", "a b:c"):
        with pytest.raises(UserError, match="cannot be loaded"):
            registry.find(registry.SAMPLERS, "sampler", name)
    with pytest.raises(UserError, match="or module:object"):
        Config(sampler="nothing")


@pytest.mark.slow
def test_program_of_the_readme_runs(place):
    rng = np.random.default_rng(0)
    clicks = {
        "user": [f"u{number}" for number in rng.integers(0, 30, 900)],
        "item": [f"tv{number}" for number in rng.integers(0, 60, 900)],
        "clicked": rng.integers(0, 2, 900),
        "time": rng.integers(0, 10**6, 900),
    }
    found: dict = {"clicks": pd.DataFrame(clicks)}
    exec(program("README.md"), found)
    lists = found["model"].recommend(["u7", "u9"], k=10)
    assert isinstance(lists, pd.DataFrame)
    assert list(lists.columns) == ["user", "item", "rank", "score"] and len(lists) == 20
    assert found["model"].results["epochs_run"] <= 50 and (place / "shop").is_dir()


@pytest.mark.slow
def test_program_of_the_api_page_runs(place, capsys):
    (place / "program.py").write_text(program("docs/api.md"), encoding="utf-8")
    found = runpy.run_path("program.py")
    assert len(found["lists"]["item"]) == 20 and len(found["similar"]["item"]) == 10
    assert set(found["history"]["user"]) == {"u7"}
    assert str(found["metrics"]["recall@20"]) in capsys.readouterr().out


@pytest.mark.parametrize("entries", [registry.SAMPLERS, registry.ENCODERS, registry.DATASETS])
def test_readme_lists_every_part(entries):
    rows = [line for line in prose(read("README.md")) if line.startswith("| `")]
    first_cells = " ".join(row.split("|")[1] for row in rows)
    for name in entries:
        assert f"`{name}`" in first_cells, name


def test_every_sampler_and_encoder_has_a_row_in_its_page():
    for page, entries in (("samplers.md", registry.SAMPLERS), ("encoders.md", registry.ENCODERS)):
        text = read(f"docs/{page}")
        for name in entries:
            assert f"\n| `{name}` |" in text, name


@pytest.mark.parametrize("page", [*PAGES, "data/README.md"])
def test_links_point_to_existing_files_and_headings(page):
    text = read(page)
    for target in LINK.findall("\n".join(prose(text))):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("page", PAGES)
def test_lines_fit_into_120_columns(page):
    for line in prose(read(page)):
        without_targets = re.sub(r"\]\([^)]*\)", "]", line)
        assert line.startswith("|") or len(without_targets) <= 120, line


def prepared_names():
    """Return the names that some page prepares a log as."""
    lines = [line for page in PAGES for line in command_lines(page)]
    return {line[1] for line in lines if line[:1] == ["prepare"]}


@pytest.mark.parametrize("page", PAGES)
def test_commands_parse(page):
    known = registry.DATASETS.keys() | prepared_names()
    for line in command_lines(page):
        if line[:1] == ["help"]:
            assert set(line[1:]) <= registry.COMMANDS.keys(), line
            continue
        if not line:
            continue
        name = "train"
        if line[0] in registry.COMMANDS:
            name, *line = line
        command = registry.COMMANDS[name].load()
        if command.raw:
            continue
        # The file of --config is one that the reader has.
        files = [word for word in line if word.startswith("--config=")]
        call = app.parse(command, [word for word in line if word not in files], f"./run.sh {name}")
        for settings in command.settings:
            fields = {field.name for field in dataclasses.fields(settings)}
            words = {"name": call.words[0]} if "name" in fields else {}
            call.settings(settings, **words)
        kinds = command.words.split()
        if "DATASET" in kinds:
            assert known & set(call.words), line
        if "ENCODER" in kinds:
            assert call.words[1] in registry.ENCODERS, line


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_flags_in_the_text_exist(page):
    known = {"help", *registry.COMMANDS, *registry.DATASETS, *prepared_names()}
    flags = {"config", "flagfile", "help", *OTHER_FLAGS}
    commands = [*(entry.load() for entry in registry.COMMANDS.values()), PEERS]
    for settings in (each for command in commands for each in command.settings):
        for field in dataclasses.fields(settings):
            flags |= {field.name, field.metadata["alias"]}
    for code in re.findall(r"`([^`]+)`", "\n".join(prose(read(page)))):
        for name in re.findall(r"^(?:\./run\.sh|recns-tf) ([a-z][\w-]*)", code):
            assert name in known, code
        for name in re.findall(r"--([a-z][\w-]*)", code):
            assert {name, name.removeprefix("no")} & flags, code


def test_wrong_commands_are_noticed(tmp_path, monkeypatch):
    def fails(line):
        text = f"```\n./run.sh {line}\n```\n"
        monkeypatch.setitem(globals(), "read", lambda page: text)
        try:
            test_commands_parse("a page")
        except (AssertionError, UserError):
            return True
        return False

    assert not fails("ml-100k lightgcn --khop=5")
    wrong = ("ml-1k lightgcn", "ml-100k gcn", "ml-100k lightgcn --hops=3", "help me", "--khop=4")
    assert all(map(fails, wrong))


def test_readme_is_short():
    words = [line.split() for line in prose(read("README.md")) if not line.startswith("|")]
    assert 800 <= sum(map(len, words)) <= 1000


@pytest.mark.parametrize("page", REVISED)
def test_spelling_is_american_and_words_are_standard(page):
    assert not UNWANTED.findall("\n".join(prose(read(page))))


def test_architecture_lists_packages_from_bottom_to_top():
    rank = {name: level for level, names in enumerate(LEVELS) for name in names}
    table = (
        read("docs/architecture.md").partition("## Packages")[2].partition("Outside the package")[0]
    )
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    listed = [name for cell in first_cells for name in re.findall(r"`(\w+)(?:/|\.py)`", cell)]
    assert sorted(listed) == sorted(rank)
    assert [rank[name] for name in listed] == sorted(rank[name] for name in listed)


def test_architecture_names_code_that_exists():
    named = re.findall(r"`([\w/]+\.py)(?::([\w.]+))?`", read("docs/architecture.md"))
    for path, symbol in named:
        if "NAME" in path:
            continue
        file = next(each for each in (ROOT / "recns_tf" / path, ROOT / path) if each.exists())
        scope = ast.parse(file.read_text(encoding="utf-8")).body
        for name in filter(None, symbol.split(".")):
            (node,) = (each for each in scope if getattr(each, "name", None) == name)
            scope = getattr(node, "body", [])


def test_site_has_every_page_and_its_modules_exist():
    navigation = read("mkdocs.yml")
    for path in (ROOT / "docs").rglob("*.md"):
        page = path.relative_to(ROOT / "docs").as_posix()
        if not page.startswith("results/"):
            assert f" {page}\n" in navigation, page
    for path in (ROOT / "docs" / "reference").glob("*.md"):
        for name in re.findall(r"^::: (\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE):
            module = ROOT / name.replace(".", "/")
            assert module.with_suffix(".py").exists() or (module / "__init__.py").exists(), name


def test_version_is_the_same_everywhere():
    assert f"\nversion: {recns_tf.__version__}\n" in read("CITATION.cff")
    assert f"version = {{{recns_tf.__version__}}}" in read("README.md")


def test_packages_page_covers_every_requirement():
    requirements = re.findall(r"^([\w-]+)[>=]", read("requirements.txt"), re.MULTILINE)
    extras = read("pyproject.toml").partition("[project.optional-dependencies]")[2]
    extras = re.findall(r'"([\w-]+)[>="]', extras.partition("[project.urls]")[0])
    page = read("docs/packages.md")
    for name in requirements + extras:
        assert re.search(rf"^\|.*\b{name}\b.*\|", page, re.MULTILINE), name
