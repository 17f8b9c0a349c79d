"""A line of a protocol and the rules that it is judged by, made up."""

from idlib.protocol import Line, Rules

RULES = Rules(level=0.95, equivalence=0.9, family=0.05, fewest_seeds=3)
LINE = Line(
    claim="C1",
    study="s",
    metric="test/bleu",
    better="above",
    contrast={"id": 1, "baseline": -1},
    delta=1.5,
    why="made up",
    words="id minus baseline",
)
