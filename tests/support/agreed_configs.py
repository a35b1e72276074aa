"""Keras's configurations, which `tests/reference/make_configs.py` writes, and what is compared."""

import json
import re
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "reference"
sys.path.insert(0, str(FOLDER))
KERAS: dict[str, Any] = json.loads((FOLDER / "configs.json").read_text())


def plain(config: Any) -> Any:
    """A config as JSON has it: automatic names without numbers, float32's digits, plain arrays."""
    if isinstance(config, dict):
        if config.get("class_name") == "__tensor__":
            return config["config"]["value"]
        return {key: plain(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return [plain(part) for part in config]
    if isinstance(config, str):
        return re.sub(r"_\d+$", "", config)
    return float(f"{config:.6g}") if isinstance(config, float) else config
