"""The local web page: runs, comparisons, sweeps and the library, in a browser."""
