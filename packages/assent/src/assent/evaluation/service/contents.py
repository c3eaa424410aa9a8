"""What a run is made of: its suite, its rows, and the records of its journal."""

from collections.abc import Sequence
from functools import lru_cache

from assent.evaluation import store
from assent.evaluation.domain.cases import CaseRecord
from assent.evaluation.domain.dataset import Row
from assent.evaluation.domain.suite import Suite
from assent.evaluation.journal import read_records
from assent.evaluation.service.versions import get_dataset_by_digest, rows_of, suite_of
from assent.evaluation.store import Run
from assent.kernel.errors import NotFound
from assent.kernel.tx import Reader


def contents_of(reader: Reader, run: Run) -> tuple[Suite, tuple[Row, ...]]:
    """Read the suite and the rows of a run."""
    version = store.suite_by_digest(reader, run.project, run.suite)
    if version is None:
        raise NotFound(f"The suite {run.suite_ref} is not registered in {run.project}.")
    dataset = get_dataset_by_digest(reader, run.project, version.dataset)
    return suite_of(reader, version), rows_of(reader, dataset)


def records_of(reader: Reader, journal: str) -> Sequence[CaseRecord]:
    """Read the records of a closed run's journal."""
    return _records(journal, reader.blobs.get(journal))


@lru_cache(maxsize=8)
def _records(_digest: str, content: bytes) -> tuple[CaseRecord, ...]:
    return tuple(read_records(content)[1])
