"""The dashboard's pages, one file each: a function that draws it."""
