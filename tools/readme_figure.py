"""Draw the README's figure from the committed records: ``python tools/readme_figure.py``."""

from pathlib import Path

from idlib.experiments.grid import recorded
from idlib.report.figures import nll_by_model

ROOT = Path(__file__).resolve().parent.parent
FIGURE = ROOT / "book/_static/readme-figure.png"

if __name__ == "__main__":
    evidence = recorded("images", "medium", ROOT / "records")
    if not evidence:
        raise SystemExit("records/ holds no record of profile medium: nothing to draw")
    nll_by_model(evidence).savefig(FIGURE, dpi=120, bbox_inches="tight", metadata={"Software": ""})
    print(f"{FIGURE} from {len(evidence)} records")
