"""Embeddings of any program, ranked in several ways and compared."""
