"""LightGCN of this library beside that of RecBole."""
