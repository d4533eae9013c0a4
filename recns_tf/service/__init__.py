"""A service that answers requests for recommendations over HTTP."""
