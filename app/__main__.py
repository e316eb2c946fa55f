"""`python -m app` is `loyalty`."""

from app.cli import main

if __name__ == "__main__":  # and not where a process of `app.cli.processes` imports it
    main()
