"""What a run costs: seconds, bytes and joules, over all sessions of it."""

import mmap
import os
import resource
import sys
from types import SimpleNamespace

import pytest
import torch

from idlib.training import meter as meters
from idlib.training.meter import Cost, Meter

CPU, MIB = torch.device("cpu"), 2**20


def test_sessions_add_up_and_the_largest_peak_counts():
    meter = Meter(CPU)
    alone = meter.cost
    assert 0 < alone.seconds < meter.cost.seconds and alone.energy_joules is None
    meter.before = Cost(1000.0, alone.peak_memory_bytes - 1, 7.0)
    assert 1000 + alone.seconds <= meter.cost.seconds < 1500
    assert meter.cost.peak_memory_bytes >= alone.peak_memory_bytes
    meter.before = Cost(1000.0, 10**15, 7.0)
    assert meter.cost.peak_memory_bytes == 10**15


@pytest.mark.parametrize("proc", [True, False], ids=["from /proc", "without /proc"])
def test_the_peak_is_in_bytes(monkeypatch, proc):
    def gone(*_args, **_kwargs):
        raise OSError

    if not proc:
        monkeypatch.setattr(meters.Path, "read_text", gone)
        monkeypatch.setattr(meters.Path, "write_text", gone)
    meter = Meter(CPU)
    block = torch.ones(64 * MIB, dtype=torch.uint8)
    unit = 1 if sys.platform == "darwin" else 1024
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    assert len(block) < meter.cost.peak_memory_bytes < largest + 64 * MIB


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="only Linux can forget a peak"
)
def test_what_was_used_before_the_meter_was_made_does_not_count():
    with mmap.mmap(-1, 256 * MIB) as block:  # goes back to the system when it is closed
        for _ in range(256):
            block.write(b"1" * MIB)
        with_block = Meter(CPU).cost.peak_memory_bytes
    assert Meter(CPU).cost.peak_memory_bytes < with_block - 128 * MIB


# Energy, which only a GPU's driver reports ------------------------------------------------------


@pytest.fixture
def driver(monkeypatch) -> SimpleNamespace:
    """A driver that reports how many millijoules each of two cards has drawn so far."""
    driver = SimpleNamespace(
        drawn=[5_000, 70_000],
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: index,
    )
    driver.nvmlDeviceGetTotalEnergyConsumption = lambda card: driver.drawn[card]
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 0)
    return driver


def test_energy_is_what_the_runs_card_drew_over_all_sessions_in_joules(driver):
    meter = Meter(torch.device("cuda", 1))
    driver.drawn = [9_000, 72_500]
    assert meter.cost.energy_joules == 2.5
    meter.before = Cost(1.0, 0, 10.0)
    assert meter.cost.energy_joules == 12.5
    first_card = Meter(torch.device("cuda"))
    driver.drawn = [9_750, 72_500]
    assert first_card.cost.energy_joules == 0.75


def test_energy_that_was_not_reported_in_every_session_is_unknown(driver):
    meter = Meter(torch.device("cuda", 1))
    meter.before = Cost(1.0, 0, None)
    assert meter.cost.energy_joules is None
    del driver.nvmlDeviceGetTotalEnergyConsumption
    assert Meter(torch.device("cuda", 1)).cost.energy_joules is None
