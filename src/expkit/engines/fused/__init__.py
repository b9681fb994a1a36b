"""The `fused` engine: runs that differ only in numbers, trained as one vectorized program."""
