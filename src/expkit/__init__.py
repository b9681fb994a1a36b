"""expkit: deep-learning experiments from configuration. Run, sweep, verify."""

__version__ = "0.1.0"
