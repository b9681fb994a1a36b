"""Tasks: a model, an objective and its metrics."""
