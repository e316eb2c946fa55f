"""`python -m app` is `loyalty`."""

from app.cli import main

main()
