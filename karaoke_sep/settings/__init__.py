"""How settings are declared and read: their ranges, their names, and the strict YAML that holds them."""
