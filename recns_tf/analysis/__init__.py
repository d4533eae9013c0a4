"""Dataset statistics and plots: degrees, region coverage, label leaks, hardness of negatives."""
