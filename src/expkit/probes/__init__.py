"""Probes: measurements at evaluation points."""
