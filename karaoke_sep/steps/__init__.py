"""The steps of the method: one file for each section of the config."""
