"""Makes `tests/support` importable: what several test modules build their graphs with."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).with_name("support")))
