"""Data sets of picture files: a folder of class folders, or a table of paths and labels."""
