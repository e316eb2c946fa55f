"""`loyalty` on a slower machine: it rests long after each batch of an import, and takes its time to end."""

import atexit
import time

from app.cli import main
from models import bulk

bulk.POLL_SECONDS = 0.5

if __name__ == "__main__":
    atexit.register(time.sleep, 1)
    main()
