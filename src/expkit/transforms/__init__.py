"""What makes another model out of any model at initialization: expansions, subspaces, parametrizations, masks."""
