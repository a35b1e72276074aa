"""Saving that is killed leaves the old file or the new one."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "support" / "killed_saves.py"


def test_kills_leave_whole_models(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(tmp_path), "25"]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 5  # came while a file was being written
