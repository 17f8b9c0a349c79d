"""The README's figure is drawn by its tool from the committed records."""

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
        [sys.executable, str(tool), str(figure)], capture_output=True, text=True, check=True
    )
    count = len(list((ROOT / "records").glob("images-medium-*.json")))
    assert f"from {count} records" in done.stdout
    with Image.open(figure) as image, Image.open(ROOT / "book/_static/readme-figure.png") as there:
        assert abs(image.width - there.width) < 20 and abs(image.height - there.height) < 20
