"""What a finished run is used for: lists of items for users, similar items, exported models."""
