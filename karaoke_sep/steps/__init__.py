"""The steps of the method: one YAML section, one file."""
