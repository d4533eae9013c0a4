"""What we claim about speed, as commands: python -m benchmarks.NAME."""
