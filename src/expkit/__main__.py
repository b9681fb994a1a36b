"""`python -m expkit` is `expkit`."""

from expkit.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
