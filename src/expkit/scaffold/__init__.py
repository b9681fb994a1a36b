"""What `expkit init` and `expkit new` begin with: files with {{words}} to fill in, and the code that does it."""
