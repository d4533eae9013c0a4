"""From a click log of your own to recommendations: `python own_dataframe.py`."""

import numpy as np
import pyarrow as pa

import recns_tf as rt

KINDS = np.array(["book", "game", "phone", "shirt", "shoe", "tv"])


def make_clicks():
    """Return a made-up log of a shop: 12,000 products shown to 300 users, some of them clicked."""
    rng = np.random.default_rng(0)
    user = rng.integers(300, size=12_000)
    # Everybody has a favorite kind of product, sees it more often, and clicks it more often.
    kind = np.where(rng.random(12_000) < 0.5, user % 6, rng.integers(6, size=12_000))
    number = rng.integers(50, size=12_000) ** 2 // 50
    clicked = rng.random(12_000) < np.where(kind == user % 6, 0.6, 0.1)
    return {
        "user": np.char.add("u", user.astype(str)),
        "item": np.char.add(KINDS[kind], number.astype(str)),
        "clicked": clicked.astype(int),
        "time": 1_700_000_000 + 60 * np.arange(12_000),
    }


if __name__ == "__main__":
    # One row per event. A pandas or Polars frame, or the dict itself, works the same.
    clicks = pa.table(make_clicks())
    columns = {"user": "user", "item": "item", "label": "clicked", "timestamp": "time"}
    # Each user's last clicks are held out, to test the model on what came after training.
    data = rt.Interactions.from_frame(clicks, name="shop", split="temporal", **columns)
    model = rt.train(data, encoder="lightgcn", sampler="recns", epochs=15, learning_rate=0.01)
    print("For u7:", model.recommend("u7", k=3).to_pylist())  # u7 has not clicked them yet
    print("Like tv1:", model.similar_items("tv1", k=3).to_pylist())
    print("Test Recall@10:", model.evaluate("test", k=10)["recall@10"])
    model.save("saved/shop", overwrite=True)  # all that load needs, wherever you copy it
    print("Loaded:", rt.load("saved/shop").recommend("u7", k=3).to_pylist())
