"""What we claim about speed, as commands: ./run.sh bench runs them all."""
