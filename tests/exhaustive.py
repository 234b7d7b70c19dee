"""Run the combinations of options that the daily run leaves out; write down when they passed.

Arguments are handed on to pytest. ``make exhaustive`` calls this.
"""

import os
import platform
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

RECORD = Path(__file__).with_name("EXHAUSTIVE.md")


def record(minutes):
    """What is written down: when it passed, where, and on which state of the code."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return (
        "`make exhaustive` last passed, which runs every combination of options where the daily "
        "run\nmakes do with pairs:\n\n"
        f"- on {datetime.now(timezone.utc):%Y-%m-%d}, in {minutes:.0f} minutes\n"
        f"- at commit {commit or 'unknown'}\n"
        f"- with Python {platform.python_version()} on {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores\n"
    )


if __name__ == "__main__":
    begin = time.monotonic()
    code = pytest.main(["-m", "exhaustive", *sys.argv[1:]])
    if code == 0:
        RECORD.write_text(record((time.monotonic() - begin) / 60), encoding="utf-8")
        print(f"written down in {RECORD}")
    sys.exit(code)
