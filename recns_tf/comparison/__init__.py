"""Rank embeddings saved by any program in several modes, and compare them with a run."""
