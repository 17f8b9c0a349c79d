"""The README's figure is drawn by its tool from the registered runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_tool_draws_the_committed_records(tmp_path):
    figure, tool = tmp_path / "figure.png", ROOT / "tools/readme_figure.py"
    done = subprocess.run(
        [sys.executable, str(tool), str(figure)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert re.search(r"of [1-9]\d* lines", done.stdout)
    with Image.open(figure) as image, Image.open(ROOT / "book/_static/readme-figure.png") as there:
        assert abs(image.width - there.width) < 60  # the lines that are measured change its height
