"""Negative samplers S_n (§4, §5.1): from a batch and this step's embeddings to k negatives."""
