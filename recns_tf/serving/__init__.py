"""Models for servers: a finished run as a TensorFlow SavedModel."""
