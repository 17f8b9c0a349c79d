"""How large the tensors are that a function makes."""

from __future__ import annotations

from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile


def largest_allocation(function: Callable[[], object]) -> int:
    """Bytes of the largest block that torch takes for itself while ``function`` runs on a CPU."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        function()
    return max(event.cpu_memory_usage for event in profiler.events())
