"""The files of the container: what can be checked without building it."""

import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from recns_tf.commands.serve import COMMAND
from recns_tf.config.flags import from_flags, make_flags

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"


def instructions(text):
    """Return the instructions of a Dockerfile, as pairs of a name and its arguments."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(" ", 1)) for line in joined.splitlines() if line.strip()]


def faults(text, root=ROOT):
    """Return what is wrong with a Dockerfile."""
    found = []
    steps = instructions(text)
    for name, arguments in steps:
        if name == "FROM" and not re.match(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*( AS \w+)?$", arguments):
            found.append("a base without a version")
        if name == "ADD":
            found.append("ADD")
        if name == "COPY" and not arguments.startswith("--from="):
            sources = arguments.split()[:-1]
            found += [f"no {each}" for each in sources if not (root / each).exists()]
    last = [number for number, (name, _) in enumerate(steps) if name == "FROM"][-1]
    final = steps[last:]
    users = [arguments for name, arguments in final if name == "USER"]
    if not users or users[-1].split(":")[0] in ("root", "0"):
        found.append("root")
    if not any(name == "HEALTHCHECK" and "/health" in value for name, value in final):
        found.append("no HEALTHCHECK")
    return found


TEXT = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def test_the_image_is_of_a_fixed_base_without_root_and_with_a_health_check():
    assert faults(TEXT) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("USER 10001", "USER 0:0", "root"),
        ("USER 10001", "", "root"),
        ("HEALTHCHECK", "LABEL", "no HEALTHCHECK"),
        ("FROM python:3.11.13-slim-bookworm\n", "FROM python:latest\n", "a base without a version"),
        ("COPY flags", "COPY banners", "no banners"),
        ("COPY flags", "ADD https://example.org/flags", "ADD"),
    ],
)
def test_faults_are_seen(old, new, fault):
    assert old in TEXT and fault in faults(TEXT.replace(old, new))


def test_commands_of_the_image_are_legal():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (extra,) = re.findall(r"pip install --no-cache-dir '\.\[(\w+)\]'", TEXT)
    assert extra in project["optional-dependencies"]
    (value,) = [value for name, value in instructions(TEXT) if name == "CMD"]
    program, command, run, *flags = json.loads(value)
    assert program in project["scripts"] and command == "serve" and run.startswith("/")
    values = make_flags(*COMMAND.settings)
    assert values([program, *flags]) == [program]
    settings = from_flags(COMMAND.settings[0], values)
    assert (settings.host, settings.port) == ("0.0.0.0", 8000)
    (check,) = [value for name, value in instructions(TEXT) if name == "HEALTHCHECK"]
    python, option, code = json.loads(check.split(" CMD ", 1)[1])
    assert (python, option) == ("python", "-c") and f":{settings.port}/health" in code
    compile(code, "HEALTHCHECK", "exec")


def kept(path, patterns):
    """Return whether a .dockerignore lets a file into the build."""
    ignored = False
    for pattern in patterns:
        name = pattern.removeprefix("!").removeprefix("**/")
        places = [path, *Path(path).parents] if "/" in path else [path]
        if any(fnmatch(str(each), name) for each in places) or (
            pattern.startswith("**/") and name in Path(path).parts
        ):
            ignored = not pattern.startswith("!")
    return not ignored


def test_what_is_copied_is_not_ignored_and_private_files_are():
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    copies = [value.split()[:-1] for name, value in instructions(TEXT) if name == "COPY"]
    sources = [each for some in copies for each in some if not each.startswith(("-", "/opt"))]
    assert len(sources) == 7
    assert all(kept(each, patterns) for each in sources)
    assert kept("recns_tf/service/page/page.js", patterns)
    for private in (".git/config", "runs/a/results.json", "data/ml-100k/u.data", ".env"):
        assert not kept(private, patterns)
    assert not kept("recns_tf/__pycache__/main.pyc", patterns)


def test_links_of_the_package_lead_to_what_is_copied():
    copied = {"recns_tf", "flags", "data/published.csv"}
    for path in (ROOT / "recns_tf").rglob("*"):
        if path.is_symlink():
            target = path.resolve().relative_to(ROOT)
            assert copied & {str(target), target.parts[0]}, path


def test_services_are_private_and_prometheus_asks_the_service():
    yaml = pytest.importorskip("yaml")
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert set(services) == {"recns", "prometheus"}
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
        assert all(volume.endswith(":ro") for volume in service["volumes"]), name
    assert services["recns"]["read_only"] and services["recns"]["cap_drop"] == ["ALL"]
    build = services["recns"]["build"]
    assert (DEPLOY / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).read_text(encoding="utf-8") == TEXT
    assert re.search(r":v\d+\.\d+\.\d+$", services["prometheus"]["image"])
    (job,) = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text(encoding="utf-8"))[
        "scrape_configs"
    ]
    port = services["recns"]["ports"][0].rsplit(":", 1)[1]
    assert job["static_configs"] == [{"targets": [f"recns:{port}"]}]
    assert job["metrics_path"] == "/metrics" and f"EXPOSE {port}" in TEXT


def test_package_data_has_the_page():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    patterns = tools["setuptools"]["package-data"]["recns_tf.service"]
    for path in (ROOT / "recns_tf/service/page").iterdir():
        assert any(fnmatch(f"page/{path.name}", pattern) for pattern in patterns)
