"""TensorFlow operations on item sets, random draws, and rows of embeddings."""
