"""Data sets: tensors in memory, drawn by a generator that takes its own seed."""
