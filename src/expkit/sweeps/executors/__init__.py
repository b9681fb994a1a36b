"""Where the chunks of a sweep are worked on: here, in processes, on Slurm, on a Ray cluster."""
