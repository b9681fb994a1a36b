"""Smaller networks: pruning with masks, going back to earlier weights, quantization after and during training."""
