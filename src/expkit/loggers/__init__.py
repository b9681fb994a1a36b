"""Loggers: where metrics go besides the record."""
