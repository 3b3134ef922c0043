"""Reading and writing of files, one job per module."""
