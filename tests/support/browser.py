"""Runs a script in a page in headless Chromium."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--window-size=1280,800", "--virtual-time-budget=30000", "--dump-dom",
]  # fmt: skip

# Errors are those that the browser's console would show.
HARNESS = """
<script>
const outcome = { errors: [] };
window.addEventListener("error", (event) => outcome.errors.push(event.message));
window.addEventListener("unhandledrejection", (event) => outcome.errors.push(String(event.reason)));
console.error = (...parts) => outcome.errors.push(parts.join(" "));
const frames = () => new Promise((done) => setTimeout(done, 60));
window.addEventListener("load", async () => {
  for (let turn = 0; turn < 100 && !document.body.dataset.ready; turn++) await frames();
  try { outcome.result = await (async () => { SCRIPT })(); }
  catch (error) { outcome.errors.push(error.stack); }
  const report = document.createElement("pre");
  report.id = "outcome";
  report.textContent = JSON.stringify(outcome);
  document.body.append(report);
});
</script>
"""

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


def run_in(page: str, script: str, folder: Path, fragment: str = "") -> Any:
    """What the script returns in the loaded page; fails for any error in the console.

    Args:
        page: the HTML.
        script: the body of an asynchronous function; `await frames()` lets the page draw.
        fragment: of the address, from # on.
    """
    path = folder / "page.html"
    path.write_text(page.replace("<head>", "<head>" + HARNESS.replace("SCRIPT", script), 1))
    assert CHROMIUM is not None
    done = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", f"{path.as_uri()}{fragment}"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    match = re.search(r'<pre id="outcome">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match is not None, done.stdout[-2000:]
    outcome = json.loads(html.unescape(match[1]))
    assert outcome["errors"] == []
    return outcome["result"]
