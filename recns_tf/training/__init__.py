"""The training loop: model, batches, callbacks and results."""
