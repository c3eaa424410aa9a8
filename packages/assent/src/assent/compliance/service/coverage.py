"""What the record shows of each catalogue for one version of a system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assent.compliance.domain import Catalogue, RowResult, judge
from assent.compliance.service import shelf
from assent.compliance.service.gathering import Subject, facts_of, find_subject
from assent.kernel.tx import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Every row of the catalogues that were asked for, for one version."""

    subject: Subject
    catalogues: Sequence[tuple[Catalogue, tuple[RowResult, ...]]]


def coverage(reader: Reader, project: str, which: str, catalogue: str | None = None) -> Coverage:
    """Compute rows for NAME or NAME@VERSION, of one catalogue or all. Raises: NotFound, Invalid."""
    wanted = shelf.catalogues() if catalogue is None else (shelf.find_catalogue(catalogue),)
    subject = find_subject(reader, project, which)
    facts = facts_of(reader, subject.version)
    return Coverage(subject=subject, catalogues=[(one, judge(one, facts)) for one in wanted])
