"""An encoder of your own that knows the kind of each item: `python own_encoder.py`.

Source of the idea: M. Kula, "Metadata Embeddings for User and Item Cold-start Recommendations",
2015, which describes an item by the sum of the embeddings of its features.
"""

import numpy as np
import tensorflow as tf
from own_dataframe import make_clicks

import recns_tf as rt
from recns_tf.encoders.full_graph import FullGraphEncoder


class WithKinds(FullGraphEncoder):
    """Matrix factorization in which an item's embedding is its own plus that of its kind.

    The base class makes the weight `nodes`, float32 [U + I, dim], one row for each user and then
    one for each item.

    Args:
        num_users, num_items: U and I.
        kinds: the kind of each item as a number, int [I].
        dim: length of an embedding.
        seed: of the initial weights.
    """

    def __init__(self, num_users, num_items, kinds, dim, seed):
        super().__init__("with_kinds", num_users, num_items, dim=dim, seed=seed)
        self.kinds = tf.constant(kinds)
        self.width = dim
        self.kind_table = self.add_weight(
            name="kind_table", shape=(kinds.max() + 1, dim), initializer="zeros"
        )

    @classmethod
    def from_settings(cls, config, interactions):
        # The kind of "tv42" is "tv". You may as well look up the ids in a table of items.
        names = [item.rstrip("0123456789") for item in interactions.item_ids]
        _, kinds = np.unique(names, return_inverse=True)
        return cls(*interactions.train.shape, kinds, config.dim, config.seed)

    def propagate(self, seed):
        """Return the final embeddings, float32 [U + I, dim]."""
        users, items = tf.split(self.nodes, [self.num_users, self.num_items])
        return tf.concat([users, items + tf.gather(self.kind_table, self.kinds)], axis=0)


if __name__ == "__main__":
    columns = {"user": "user", "item": "item", "label": "clicked", "timestamp": "time"}
    clicks = make_clicks()
    data = rt.Interactions.from_frame(clicks, name="shop", split="temporal", quiet=True, **columns)
    settings = {"sampler": "unins", "epochs": 15, "learning_rate": 0.01, "quiet": True}
    # Both runs differ in the encoder alone. Without overwrite, a finished run is not trained again,
    # even if you have changed the class since.
    for name, encoder in {"mf": "mf", "kinds": WithKinds}.items():
        model = rt.train(data, encoder=encoder, overwrite=True, **settings)
        print(f"{name}: valid Recall@20 {model.results['valid']['recall@20']:.4f}")
    model.save("saved/with-kinds", overwrite=True)
    # Recommendations need the embeddings alone.
    loaded = rt.load("saved/with-kinds")
    print("Like tv1:", loaded.similar_items("tv1", k=3)["similar_item"].tolist())
    # The Keras model needs the class, whose code runs: say that you trust the folder.
    encoder = loaded.keras_model(allow_custom=True).encoder
    same = np.array_equal(encoder.embeddings()[1], model.embeddings[1])
    print(f"The loaded {type(encoder).__name__} has the same embeddings: {same}")
