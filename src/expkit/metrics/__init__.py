"""Measures of predictions, as functions of tensors."""
