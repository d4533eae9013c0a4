"""Settings, the flags that set them, and the flagfiles that hold defaults."""
