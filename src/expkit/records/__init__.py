"""The run store: layout, writing, reading."""
