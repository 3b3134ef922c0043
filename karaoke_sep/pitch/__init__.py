"""How the sung pitch is found: one file a method, chosen by its name in the config."""
