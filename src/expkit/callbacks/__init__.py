"""Callbacks: what acts on a training."""
