"""Imports without packages that a program does not use."""

import gc
import importlib
import sys

import pytest

from recns_tf.utils.imports import lean_imports


@pytest.fixture(autouse=True)
def thawed():
    """Frozen objects would otherwise stay out of collections in the other tests."""
    yield
    gc.unfreeze()


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Two packages, of which `plotless` imports `plots` if it is there."""
    (tmp_path / "plots.py").write_text("drawn = 3\n")
    text = "try:\n    import plots\nexcept ImportError:\n    plots = None\n"
    (tmp_path / "plotless.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("plots", "plotless"):
        sys.modules.pop(name, None)


def test_an_unused_package_is_missing_in_the_block_alone(packages):
    with lean_imports("plots"):
        plotless = importlib.import_module("plotless")
    assert plotless.plots is None
    assert "plots" not in sys.modules
    assert importlib.import_module("plots").drawn == 3


def test_a_package_that_is_imported_already_stays(packages):
    before = importlib.import_module("plots")
    with lean_imports("plots"):
        assert importlib.import_module("plotless").plots is before
    assert sys.modules["plots"] is before


def test_everything_is_restored_after_an_error(packages):
    with pytest.raises(ModuleNotFoundError), lean_imports("plots"):
        assert not gc.isenabled()
        importlib.import_module("plots")
    assert gc.isenabled()
    assert importlib.import_module("plots").drawn == 3


def test_what_is_imported_is_left_out_of_later_collections():
    before = gc.get_freeze_count()
    with lean_imports():
        kept = [[number] for number in range(1000)]
    assert gc.get_freeze_count() >= before + len(kept)


def test_collections_that_were_off_stay_off():
    gc.disable()
    try:
        with lean_imports():
            pass
        assert not gc.isenabled() and not gc.get_freeze_count()
    finally:
        gc.enable()
