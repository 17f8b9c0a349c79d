"""Connected groups of things that share something."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable


class Groups:
    """Disjoint sets: what is joined, directly or through others, is one group.

    >>> groups = Groups()
    >>> groups.join("a", "b"); groups.join("b", "c"); groups.add("d")
    >>> sorted(sorted(group) for group in groups.groups())
    [['a', 'b', 'c'], ['d']]
    """

    def __init__(self) -> None:
        self._parents: dict[Hashable, Hashable] = {}

    def add(self, thing: Hashable) -> None:
        """Makes a thing known, alone if it is new."""
        self._parents.setdefault(thing, thing)

    def join(self, one: Hashable, other: Hashable) -> None:
        """Makes the groups of two things one."""
        self.add(one)
        self.add(other)
        self._parents[self._root(one)] = self._root(other)

    def groups(self) -> list[set[Hashable]]:
        """All groups, in the order in which their first members came."""
        found: defaultdict[Hashable, set[Hashable]] = defaultdict(set)
        for thing in self._parents:
            found[self._root(thing)].add(thing)
        return list(found.values())

    def _root(self, thing: Hashable) -> Hashable:
        while self._parents[thing] != thing:
            self._parents[thing] = self._parents[self._parents[thing]]
            thing = self._parents[thing]
        return thing
