"""User-defined parts: what is refused before training, and why."""

import sys

import pytest

from recns_tf import registry
from recns_tf.errors import UserError

ENTRIES = {
    "sampler": registry.SAMPLERS,
    "encoder": registry.ENCODERS,
    "loss": registry.LOSSES,
    "baseline": registry.BASELINE_MODELS,
}
PARTS = '''
import numpy as np
import tensorflow as tf
from recns_tf.baselines.base import Fit
from recns_tf.encoders.full_graph import FullGraphEncoder
from recns_tf.samplers.base import Sampler

class Idle(Sampler):
    """Chooses nothing."""

class Still(FullGraphEncoder):
    @classmethod
    def from_settings(cls, config, interactions):
        return cls("still", 1, 1, dim=1, seed=0)

def good(positive, negative, margin):
    return tf.reduce_mean(tf.nn.relu(negative - positive[:, None] + margin))

def of_pairs(positive, negative, margin):
    return positive

def undefined(positive, negative, margin):
    return tf.reduce_mean(tf.math.log(negative))

def constant(positive, negative, margin):
    return tf.constant(margin)

def number(positive, negative, margin):
    return 1.0

def double(positive, negative, margin):
    return tf.cast(tf.reduce_mean(positive), tf.float64)

def eager(positive, negative, margin):
    return tf.constant(positive.numpy().mean())

def fits(train, settings):
    yield Fit({}, lambda users: np.zeros((len(users), train.shape[1])))

def turned(train, settings):
    yield Fit({}, lambda users: np.zeros((train.shape[1], len(users))))

def pairs(train, settings):
    yield {}, np.zeros

def none(train, settings):
    return iter(())

def strange(train, settings):
    yield Fit({}, lambda users: users / [])
'''


@pytest.fixture(autouse=True)
def modules(tmp_path, monkeypatch):
    """Modules of a user on the module path."""
    names = {
        "own_parts": PARTS,
        "raises": "raise RuntimeError('no license\\nfound')",
        "leaves": "import sys; sys.exit(3)",
        "unreadable": "def (",
        "silent": "raise KeyError",
    }
    for name, text in names.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("kind", "name", "sentence"),
    [
        ("sampler", "absent:X", "loaded: ModuleNotFoundError: No module named 'absent'"),
        ("sampler", "raises:X", "loaded: RuntimeError: no license"),
        ("encoder", "leaves:X", "loaded: SystemExit: 3"),
        ("loss", "unreadable:f", r"loaded: SyntaxError: .* \(unreadable.py, line 1\)"),
        ("loss", "silent:f", "loaded: KeyError"),
        ("sampler", "own_parts:Absent", "loaded: AttributeError: .* no attribute 'Absent'"),
        ("sampler", "os:system", "used: it is not a subclass of recns_tf.samplers.base.Sampler"),
        ("sampler", "json:JSONDecoder", "used: it is not a subclass of .*base.Sampler"),
        ("sampler", "recns_tf.encoders.mf:MF", "used: it is not a subclass of .*base.Sampler"),
        ("sampler", "own_parts:Idle", "used: it does not define choose"),
        ("encoder", "json:dumps", "used: it is not a subclass of recns_tf.encoders.base.Encoder"),
        ("encoder", "recns_tf.samplers.unins:UniNS", "used: it is not a subclass of .*Encoder"),
        ("encoder", "own_parts:Still", "used: it does not define propagate"),
        ("loss", "json:dumps", "used: called with .*, it raises TypeError: dumps.* 3 were given"),
        ("loss", "math:sqrt", "used: called with .*, it raises TypeError: math.sqrt.*"),
        ("loss", "os:system", "used: called with .*, it raises TypeError: system.*"),
        ("loss", "math:pi", "used: called with .*, it raises TypeError: 'float' object is not.*"),
        ("loss", "own_parts:Idle", "used: called with .*, it raises TypeError: .*"),
        ("loss", "own_parts:of_pairs", r"used: it returns float32 \(2,\), not a float32 scalar.*"),
        ("loss", "own_parts:double", r"used: it returns float64 \(\), not a float32 scalar.*"),
        ("loss", "own_parts:number", "used: it returns float, not a float32 scalar tensor"),
        ("loss", "own_parts:undefined", "used: it returns nan for scores between -1 and 1"),
        ("loss", "own_parts:constant", "used: its value does not depend on the scores"),
        ("loss", "own_parts:eager", "used: called with .*, it raises AttributeError: .*"),
        ("baseline", "json:dumps", "used: called with .*, it raises TypeError: dumps.*"),
        ("baseline", "own_parts:none", "used: called with .*, it raises StopIteration"),
        ("baseline", "own_parts:pairs", "used: its fits are tuple, not recns_tf.*.Fit"),
        ("baseline", "own_parts:turned", r"used: the scores .* have the shape \(4, 2\)"),
        ("baseline", "own_parts:strange", "used: the scores of its fit raise .*"),
    ],
)
def test_what_is_no_part_is_refused_in_one_sentence(kind, name, sentence):
    with pytest.raises(UserError, match=rf"^the {kind} {name} cannot be {sentence}\.$"):
        registry.find(ENTRIES[kind], kind, name)


@pytest.mark.parametrize(
    ("kind", "name"), [("loss", "own_parts:good"), ("baseline", "own_parts:fits")]
)
def test_own_parts_are_found(kind, name):
    entry = registry.find(ENTRIES[kind], kind, name)
    assert entry.load().__name__ == name.partition(":")[2]


@pytest.mark.parametrize("kind", ENTRIES)
def test_every_registered_part_is_of_its_kind(kind):
    for entry in ENTRIES[kind].values():
        assert registry.find(ENTRIES[kind], kind, entry.target).target == entry.target
