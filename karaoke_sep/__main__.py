"""`python -m karaoke_sep` is `karaoke-sep`."""

from .cli.main import main

if __name__ == "__main__":
    main(prog_name="karaoke-sep")
