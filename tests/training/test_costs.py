"""What a run costs: seconds, bytes and joules, over all sessions of it."""

import mmap
import os
import resource
import sys
from types import SimpleNamespace

import pytest
import torch

from idlib.experiments import bench
from idlib.training import meter as meters
from idlib.training.meter import Meter

CPU = torch.device("cpu")
MIB = 2**20


def test_sessions_add_up_and_the_largest_peak_counts():
    meter = Meter(CPU)
    alone, peak = meter.seconds, meter.peak_memory_bytes
    meter.add(1000.0, None, peak - 1)
    assert 1000 + alone <= meter.seconds < 1500 and meter.peak_memory_bytes >= peak
    meter.add(500.0, None, 10**15)
    meter.add(0.5, None, 10**14)
    assert 1500.5 + alone <= meter.seconds < 2000 and meter.peak_memory_bytes == 10**15


def test_a_meter_counts_from_when_it_was_made():
    first = Meter(CPU)
    second = Meter(CPU)
    assert first.seconds > second.seconds >= 0


def most() -> int:
    """Bytes of the largest resident set of this process so far, as the system tells it."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@pytest.mark.parametrize("proc", [True, False], ids=["from /proc", "without /proc"])
def test_the_peak_is_in_bytes(monkeypatch, proc):
    def gone(*_args, **_kwargs):
        raise OSError

    if not proc:
        monkeypatch.setattr(meters.Path, "read_text", gone)
        monkeypatch.setattr(meters.Path, "write_text", gone)
    meter = Meter(CPU)
    block = torch.ones(64 * MIB, dtype=torch.uint8)
    assert len(block) < meter.peak_memory_bytes < most() + 64 * MIB


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="only Linux can forget a peak"
)
def test_what_was_used_before_the_meter_was_made_does_not_count():
    with mmap.mmap(-1, 256 * MIB) as block:  # goes back to the system when it is closed
        for _ in range(256):
            block.write(b"1" * MIB)
        with_block = Meter(CPU).peak_memory_bytes
    assert Meter(CPU).peak_memory_bytes < with_block - 128 * MIB


# Energy, of which only a GPU's driver tells -----------------------------------------------------


@pytest.fixture
def driver(monkeypatch) -> SimpleNamespace:
    """A driver that says how many millijoules each of two cards has drawn so far."""
    driver = SimpleNamespace(
        drawn=[5_000, 70_000],
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: index,
    )
    driver.nvmlDeviceGetTotalEnergyConsumption = lambda card: driver.drawn[card]
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    return driver


def test_energy_is_what_the_runs_card_drew_over_all_sessions_in_joules(driver):
    meter = Meter(torch.device("cuda", 1))
    driver.drawn = [9_000, 72_500]
    assert meter.energy_joules == 2.5
    meter.add(1.0, 10.0, 0)
    assert meter.energy_joules == 12.5
    first_card = Meter(torch.device("cuda"))
    driver.drawn = [9_750, 72_500]
    assert first_card.energy_joules == 0.75


def test_a_session_that_did_not_tell_its_energy_leaves_it_unknown(driver):
    meter = Meter(torch.device("cuda", 1))
    meter.add(1.0, None, 0)
    meter.add(1.0, 10.0, 0)
    assert meter.energy_joules is None


def test_where_nothing_tells_the_energy_there_is_none(driver):
    assert Meter(CPU).energy_joules is None
    del driver.nvmlDeviceGetTotalEnergyConsumption
    assert Meter(torch.device("cuda", 1)).energy_joules is None


# What is quoted of many updates -----------------------------------------------------------------


def test_the_benchmark_quotes_ratios_of_medians(monkeypatch, capsys):
    """An update that was slow, as where the machine did something else, moves nothing."""
    timed = {
        "baseline": bench.Timed([1.0, 1.0, 2.0, 2.0, 30.0], 3 * MIB),
        "id": bench.Timed([5.0, 80.0, 5.0, 7.0, 5.0], 12 * MIB),
    }
    monkeypatch.setattr(bench, "compare", lambda task, profile, rounds: timed)
    bench.main([])
    _, baseline, method = capsys.readouterr().out.splitlines()
    assert baseline.split() == ["baseline", "2.0000", "s", "1.00", "×", "baseline", "3", "MiB"]
    assert method.split() == ["id", "5.0000", "s", "2.50", "×", "baseline", "12", "MiB"]
