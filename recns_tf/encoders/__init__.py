"""Graph encoders E_θ (§2.2): from the user-item graph to embeddings of users and items."""
