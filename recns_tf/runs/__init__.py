"""Run folders: writing, reading, summarizing, and the paper's published results."""
