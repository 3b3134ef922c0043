"""How singing is detected: one file a method, chosen by its name in the config."""
