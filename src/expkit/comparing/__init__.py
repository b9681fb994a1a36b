"""Comparing runs: what differs between them, what came of it, and whether the difference is more than chance."""
