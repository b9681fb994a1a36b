"""Models: ordinary PyTorch modules."""
