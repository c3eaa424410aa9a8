"""Which suites the versions of a prompt are tested with; whoever knows suites checks and runs them."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from assent.kernel.errors import NotFound
from assent.kernel.tx import Reader, Tx
from assent.prompts import store
from assent.prompts.domain import SuiteBound, SuiteUnbound
from assent.prompts.store import SuiteBinding


@dataclass(frozen=True, kw_only=True)
class NewSuiteBinding:
    """What to bind; both refs are name@number."""

    project: str
    name: str
    suite: str
    suite_ref: str
    through_ref: str
    environment: str


def bind_suite(tx: Tx, new: NewSuiteBinding) -> SuiteBinding:
    """Bind a suite to a prompt in the place of another version of it; doing it again changes nothing."""
    bound = _find(tx, new.project, new.name, new.suite)
    wanted = asdict(new)
    if bound is None or any(getattr(bound, key) != value for key, value in wanted.items()):
        tx.record(SuiteBound(**wanted))
    return _get(tx, new.project, new.name, new.suite)


def unbind_suite(tx: Tx, project: str, name: str, suite: str) -> None:
    """Unbind a suite from a prompt. Raises: NotFound."""
    _get(tx, project, name, suite)
    tx.record(SuiteUnbound(project=project, name=name, suite=suite))


def _find(reader: Reader, project: str, name: str, suite: str) -> SuiteBinding | None:
    found = (one for one in store.list_suites(reader, project, name) if one.suite == suite)
    return next(found, None)


def _get(reader: Reader, project: str, name: str, suite: str) -> SuiteBinding:
    found = _find(reader, project, name, suite)
    if found is None:
        raise NotFound(f"No suite {suite} is bound to {name}.", remedy="`assent prompt show` lists them.")
    return found
