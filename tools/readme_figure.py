"""Draw the README's figure from the committed records: ``python tools/readme_figure.py [FILE]``."""

import sys
from pathlib import Path

from idlib.experiments.grid import recorded
from idlib.report.figures import by_model
from idlib.report.results import Results

ROOT = Path(__file__).resolve().parent.parent
FIGURE = ROOT / "book/_static/readme-figure.png"

if __name__ == "__main__":
    figure = Path(sys.argv[1]) if len(sys.argv) > 1 else FIGURE
    evidence = recorded("images", "medium", ROOT / "records")
    if not evidence:
        raise SystemExit("records/ holds no record of profile medium: nothing to draw")
    drawn = by_model(Results("images", "medium", "embedded", evidence), "test/nll")
    drawn.savefig(figure, dpi=120, bbox_inches="tight", metadata={"Software": ""})
    print(f"{figure} from {len(evidence)} records")
