"""The benchmark times what is trained; what the times are is not a matter of tests."""

import pytest
import torch

from idlib.bench import updates as bench
from idlib.training.settings import METHODS, SettingsError


@pytest.mark.slow
def test_every_method_is_timed_in_turns_and_memory_is_read(workspace):
    timed = bench.compare("images", "smoke", rounds=2, updates=2)
    assert set(timed) == set(METHODS)
    for method in METHODS:
        assert len(timed[method].seconds) == 4 and min(timed[method].seconds) > 0
        assert timed[method].peak_memory_bytes > 0


def test_ratios_of_medians_are_quoted():
    """An update that was slow, as where the machine did something else, moves nothing."""
    timings = {
        "baseline": bench.Timing([1.0, 1.0, 2.0, 2.0, 30.0], 3 * 2**20),
        "id": bench.Timing([5.0, 80.0, 5.0, 7.0, 5.0], 12 * 2**20),
    }
    baseline, method = (line.split() for line in bench.table(timings).splitlines())
    assert baseline == ["baseline", "2.0000", "s", "1.00", "×", "baseline", "3", "MiB"]
    assert method == ["id", "5.0000", "s", "2.50", "×", "baseline", "12", "MiB"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="wants a machine without a GPU")
def test_updates_are_timed_on_the_device_that_is_asked_for():
    with pytest.raises(SettingsError, match="device cuda was asked for"):
        bench.compare("images", "smoke", device="cuda")
