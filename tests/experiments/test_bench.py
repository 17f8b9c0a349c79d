"""The benchmark times what is trained; what the times are is not a matter of tests."""

import pytest

from idlib.experiments import bench
from idlib.training.settings import METHODS


def test_every_method_is_timed_in_turns_and_memory_is_read(workspace):
    timed = bench.compare("images", "smoke", rounds=2, updates=2)
    assert set(timed) == set(METHODS)
    for method in METHODS:
        assert len(timed[method].seconds) == 4 and min(timed[method].seconds) > 0
        assert timed[method].peak_memory_bytes > 0


def test_the_table_names_methods_and_ratios(workspace, capsys):
    bench.main(["--profile", "smoke", "--rounds", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(METHODS) and "1.00 × baseline" in lines[1]


def test_wrong_arguments_are_one_line(workspace, capsys):
    assert bench.main(["--task", "nothing", "--profile", "smoke"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: unknown task 'nothing'")
    with pytest.raises(SystemExit, match="2"):
        bench.main(["--rounds", "0"])
    assert "--rounds" in capsys.readouterr().err.splitlines()[-1]


def test_ratios_are_those_of_medians(monkeypatch, capsys):
    """An update that was slow, as where the machine did something else, moves nothing."""
    timed = {
        "baseline": bench.Timed([1.0, 1.0, 2.0, 2.0, 30.0], 3 * 2**20),
        "id": bench.Timed([5.0, 80.0, 5.0, 7.0, 5.0], 12 * 2**20),
    }
    monkeypatch.setattr(bench, "compare", lambda task, profile, rounds: timed)
    bench.main([])
    _, baseline, method = capsys.readouterr().out.splitlines()
    assert baseline.split() == ["baseline", "2.0000", "s", "1.00", "×", "baseline", "3", "MiB"]
    assert method.split() == ["id", "5.0000", "s", "2.50", "×", "baseline", "12", "MiB"]
