"""scripts/evening prepares an evening of karaoke and checks every file."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "evening"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.mark.skipif(not SCRIPT.exists(), reason="the scripts are in a checkout only")
@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg on the PATH")
@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="needs Chromium on the PATH")
@pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="needs Playwright: pip install '.[dev]'")
def test_the_script_of_an_evening_of_karaoke_passes_every_check(tmp_path):
    result = subprocess.run(
        [sys.executable, str(SCRIPT), "--folder", str(tmp_path / "evening")], capture_output=True, text=True
    )
    assert [line for line in result.stdout.splitlines() if not line.startswith("ok")] == []
    assert len(result.stdout.splitlines()) >= 30
    assert (result.returncode, result.stderr) == (0, "")
