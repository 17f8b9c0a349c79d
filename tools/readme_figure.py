"""Draw the README's figure from the registered runs: ``python tools/readme_figure.py [FILE]``."""

import sys
from pathlib import Path

from idlib.experiments.registered import evidence
from idlib.report.board import Board
from idlib.report.figures import board

ROOT = Path(__file__).resolve().parent.parent
FIGURE = ROOT / "book/_static/readme-figure.png"

if __name__ == "__main__":
    figure = Path(sys.argv[1]) if len(sys.argv) > 1 else FIGURE
    shown = Board(evidence(folder=ROOT / "records/evidence").records)
    measured = [name for name, one in shown.primary.items() if one.interval is not None]
    if not measured:
        raise SystemExit("no line of the protocol has been measured: nothing to draw")
    drawn = board(shown)
    drawn.savefig(figure, dpi=120, bbox_inches="tight", metadata={"Software": ""})
    print(f"{figure} of {len(measured)} lines")
