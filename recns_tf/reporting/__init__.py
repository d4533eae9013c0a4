"""The page over any set of runs that ./run.sh report writes: one self-contained HTML file."""
