"""What is computed from the results of runs: dimensions of boundaries, pictures of maps."""
