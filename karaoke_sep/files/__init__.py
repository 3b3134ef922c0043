"""Reading and writing of files, one job a module."""
