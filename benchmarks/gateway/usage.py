"""What a process and all that it started have used, read from /proc."""

from __future__ import annotations

import os
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


def tree(pid: int) -> list[list[str]]:
    """Give the fields of /proc/PID/stat after the name, of a process and its descendants."""
    stats, parents = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
        fields = text[text.rfind(")") + 2 :].split()
        stats[int(path.parent.name)], parents[int(path.parent.name)] = fields, int(fields[1])
    found, new = {pid}, {pid}
    while new:
        new = {one for one, parent in parents.items() if parent in new} - found
        found |= new
    return [stats[one] for one in found if one in stats]


def used(pid: int) -> tuple[float, float, float]:
    """Give (user seconds, system seconds, resident MB) of a process tree; time comes in ticks."""
    fields = tree(pid)
    user = sum(int(one[11]) for one in fields) / TICKS_PER_S
    system = sum(int(one[12]) for one in fields) / TICKS_PER_S
    return user, system, sum(int(one[21]) for one in fields) * PAGE_MB
