"""Generated datasets with known preferences."""
