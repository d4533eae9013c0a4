"""Damaged caches of compiled functions are noticed and replaced."""

import importlib.util
import sys

import pytest
from numba.core.caching import CompileResultCacheImpl

SOURCE = """
from recns_tf.utils.compiled import compiled

@compiled()
def double(value):
    return 2 * value
"""


def load(path):
    spec = importlib.util.spec_from_file_location("kernel_of_a_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.double


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_damaged_cache_is_compiled_again(tmp_path, monkeypatch, capsys, suffix, damage):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    path = tmp_path / "kernel.py"
    path.write_text(SOURCE)
    assert load(path)(3) == 6
    again = load(path)
    assert again(3) == 6 and sum(again.stats.cache_hits.values()) == 1
    (file,) = tmp_path.rglob(f"*.{suffix}")
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    file.write_bytes({"cut": content[:99], "flip": content, "empty": b""}[damage])
    assert not capsys.readouterr().err
    assert load(path)(3) == 6
    said = capsys.readouterr().err
    assert said == f"{file} is damaged: the function is compiled again.\n"
    again = load(path)
    assert again(3) == 6 and sum(again.stats.cache_hits.values()) == 1
    assert not capsys.readouterr().err


def test_function_is_compiled_where_no_folder_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(CompileResultCacheImpl, "_locator_classes", [])
    (tmp_path / "kernel.py").write_text(SOURCE)
    assert load(tmp_path / "kernel.py")(3) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["kernel.py"]
