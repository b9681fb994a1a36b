"""The commands of the command line, one module for each that does more than read a folder."""
