"""The pictures of the README are those that the dashboard draws now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MAKE = Path(__file__).resolve().parents[2] / "screenshots" / "make.py"


def test_no_picture_is_older_than_the_dashboard() -> None:
    done = subprocess.run([sys.executable, str(MAKE), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run python screenshots/make.py and look at: {done.stdout}{done.stderr}"
