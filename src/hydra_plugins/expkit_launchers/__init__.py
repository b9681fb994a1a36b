"""expkit's launchers, where Hydra looks for plugins."""
