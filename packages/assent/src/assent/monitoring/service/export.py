"""Observed calls of a period as a file, page by page, so that its length does not matter."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

from assent.kernel.errors import Invalid
from assent.kernel.tx import Reader
from assent.monitoring.domain.export import MEDIA, open_form
from assent.monitoring.service.report import Period
from assent.monitoring.store import export as store

MOST_ROWS = 1_000_000
PAGE = 10_000

__all__ = ["MEDIA", "MOST_ROWS", "check", "stream"]


def check(reader: Reader, project: str, period: Period, where: Mapping[str, str]) -> None:
    """Look whether the file would hold no more rows than are given at once. Raises: Invalid."""
    asked = store.Asked(project, period.start.timestamp(), period.end.timestamp(), where)
    if store.has_more_than(reader.conn, asked, MOST_ROWS):
        raise Invalid(
            f"The period has more than {MOST_ROWS:,} calls, which is the most that one file holds.",
            remedy="Ask for a shorter period, or for one environment, name or version.",
        )


def stream(
    read: Callable[[], AbstractContextManager[Reader]],
    project: str,
    period: Period,
    where: Mapping[str, str],
    form: str,
) -> Iterator[bytes]:
    """Give the file in parts; each page is a view of its own, so a slow reader keeps nothing open."""
    asked = store.Asked(project, period.start.timestamp(), period.end.timestamp(), where)
    file = open_form(form)
    yield file.start()
    after = -1
    while True:
        with read() as reader:
            page = store.page(reader.conn, asked, after, PAGE)
        if not page:
            break
        after = page[-1][0]
        yield file.group([row[1:] for row in page])
    yield file.end()
