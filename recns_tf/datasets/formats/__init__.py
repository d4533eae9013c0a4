"""Files of logs and graphs, read and written."""
