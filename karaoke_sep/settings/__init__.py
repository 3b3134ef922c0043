"""Declaration of settings: ranges, names, and strict YAML."""
