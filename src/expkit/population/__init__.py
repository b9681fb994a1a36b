"""Methods that train a population of runs, which learn from each other while they train."""
