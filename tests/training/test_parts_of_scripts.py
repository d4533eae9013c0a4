"""Encoders and samplers that a script defines itself, whose module is __main__."""

import sys

import pytest

from tests.commands.test_train import ROOT, call

SCRIPT = """
import keras
import numpy as np
import recns_tf as rt
from recns_tf.encoders.mf import MF
from recns_tf.samplers.unins import UniNS

class Halved(MF):
    def propagate(self, seed):
        return super().propagate(seed) / 2

class Own(UniNS):
    pass

class Interrupt(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt

pairs = np.argwhere(np.random.default_rng(0).random((30, 40)) < 0.2)
data = rt.Interactions.from_frame({"user_id": pairs[:, 0], "item_id": pairs[:, 1]}, quiet=True)
settings = {"epochs": 4, "patience": 9, "dim": 8, "quiet": True}
settings |= {"encoder": Halved, "sampler": Own}
whole = rt.train(data, run_name="whole", **settings)
try:
    rt.train(data, run_name="cut", callbacks=[Interrupt()], **settings)
    raise SystemExit("not interrupted")
except KeyboardInterrupt:
    pass
rows = open("runs/cut/metrics.jsonl").read()
assert rows.count("\\n") == 2
cut = rt.train(data, run_name="cut", **settings)
assert cut.run.metrics.read_text().startswith(rows)
assert cut.results["epochs_run"] == 4
assert all(map(np.array_equal, whole.embeddings, cut.embeddings))
cut.save("saved")
loaded = rt.load("saved")
try:
    loaded.keras_model()
    raise SystemExit("not refused")
except rt.UserError as error:
    assert "__main__:Halved" in str(error)
model = loaded.keras_model(allow_custom=True)
assert type(model.encoder) is Halved and type(model.sampler) is Own
assert np.array_equal(model.encoder.embeddings()[1], whole.embeddings[1])
"""

OTHER = """
import recns_tf as rt
model = rt.load("saved")
assert len(model.recommend(3, k=5)["item"]) == 5
try:
    model.keras_model(allow_custom=True)
    raise SystemExit("not refused")
except rt.UserError as error:
    assert str(error).startswith("the encoder __main__:Halved cannot be loaded"), error
"""


@pytest.mark.slow
def test_parts_of_a_script_are_resumed_saved_and_loaded(tmp_path):
    for name, program in (("script.py", SCRIPT), ("other.py", OTHER)):
        (tmp_path / name).write_text(program, encoding="utf-8")
        done = call(sys.executable, name, cwd=tmp_path, PYTHONPATH=str(ROOT))
        assert done.returncode == 0, done.stderr
