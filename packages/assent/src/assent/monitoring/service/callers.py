"""Who calls a version: what applications depend on, as seen and not as declared."""

from datetime import UTC, datetime

from assent.kernel.tx import Reader
from assent.monitoring.store import reading


def callers(reader: Reader, project: str, version: str, since: float) -> list[tuple[str, str, int]]:
    """Count the calls of a version since a time (s) by day (UTC) and application, the newest day first."""
    rows = reading.count_callers(reader.conn, project, version, since)
    return [(f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}", who, n) for day, who, n in rows]
