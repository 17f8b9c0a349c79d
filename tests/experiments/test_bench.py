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
