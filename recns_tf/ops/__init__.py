"""TensorFlow operations on item sets, random draws and embedding rows."""
