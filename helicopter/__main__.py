"""``python -m helicopter`` is the command ``helicopter``."""

from helicopter.cli import main

if __name__ == "__main__":
    main()
