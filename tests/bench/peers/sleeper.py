"""A program that does nothing, for memray's live view to look at."""

import time

print("asleep", flush=True)
while True:
    time.sleep(1.0)
