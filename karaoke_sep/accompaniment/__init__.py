"""How the accompaniment is modelled: one file a method, chosen by its name in the config."""
