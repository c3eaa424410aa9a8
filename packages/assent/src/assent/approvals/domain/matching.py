"""Who counts for which factor: one person for one factor, as many factors filled as can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Seat = tuple[int, int]
"""A factor's position, and which of its n places."""


def match(needs: Sequence[int], eligible: Mapping[str, Sequence[int]]) -> Mapping[Seat, str]:
    """Seat people so that as many places as possible are taken (augmenting paths, Kuhn 1955).

    `needs`: places per factor. `eligible`: for each person the factors that they may fill.
    """
    seats = [(factor, place) for factor, n in enumerate(needs) for place in range(n)]
    seated: dict[Seat, str] = {}

    def seat(person: str, tried: set[Seat]) -> bool:
        for one in seats:
            if one[0] not in eligible[person] or one in tried:
                continue
            tried.add(one)
            if one not in seated or seat(seated[one], tried):
                seated[one] = person
                return True
        return False

    for person in sorted(eligible):
        seat(person, set())
    return seated
