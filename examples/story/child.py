"""Run one `assent …` command as a child of a story: it ends when the story does, even by SIGKILL.

The story's process id comes in STORY_PARENT; a child that finds another parent ends itself within seconds.
"""

import os
import signal
import sys
import threading
import time

LOOK_EVERY_S = 0.5
GRACE_S = 3.0


def watch(parent: int) -> None:
    """End this process in order when the parent is gone, and by force when that takes too long."""
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(75)


if __name__ == "__main__":
    threading.Thread(target=watch, args=(int(os.environ["STORY_PARENT"]),), daemon=True).start()
    from assent_client.cli.main import main

    sys.argv[0] = "assent"
    main()
