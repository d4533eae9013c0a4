"""Every setting, the flags that set it, and the flagfiles that hold defaults."""
