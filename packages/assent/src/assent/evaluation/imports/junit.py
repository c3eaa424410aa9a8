"""Reports in JUnit's XML: <testsuite tests="3" failures="1"><testcase classname= name=>….

<failure> is wrong, <error> is an error, <skipped> has no value. Documents with a DOCTYPE are refused: without
one there are no entities, so nothing can grow while it is read.
"""

from collections import Counter
from dataclasses import dataclass, field
from xml.parsers import expat

from assent.evaluation.domain.cases import Outcome
from assent.evaluation.domain.imported import MAX_ROWS, Imported, ImportedRow, Total
from assent.evaluation.imports.bounded import name_of
from assent.kernel.errors import Invalid, TooLarge

VERSION = 1
METRIC = "pass"
MAX_DEPTH = 100
_OUTCOMES = {
    "failure": (Outcome.SCORED, 0.0),
    "error": (Outcome.ERROR, None),
    "skipped": (Outcome.UNSCORABLE, None),
}
_COUNTS = {"tests": "rows", "failures": "wrong", "errors": "error", "skipped": "unscorable"}


class _Unwelcome(Exception):
    """Carries a reason out of the parser."""


@dataclass
class _Suite:
    name: str
    stated: dict[str, str]
    counts: Counter[str] = field(default_factory=Counter)


@dataclass
class _Reader:
    """Follows the elements; a suite's counts hold those of the suites inside it."""

    rows: list[ImportedRow] = field(default_factory=list)
    totals: list[Total] = field(default_factory=list)
    suites: list[_Suite] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    case: tuple[str, Outcome, float | None] | None = None
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Enter an element."""
        if not self.open and tag not in {"testsuites", "testsuite"}:
            raise _Unwelcome(f"its root is <{tag[:50]}>, not <testsuites> or <testsuite>")
        self.open.append(tag)
        if len(self.open) > MAX_DEPTH:
            raise _Unwelcome(f"its elements are nested deeper than {MAX_DEPTH}")
        if tag in {"testsuites", "testsuite"}:
            self.suites.append(_Suite(name_of(attributes.get("name"), "tests"), attributes))
        elif tag == "testcase":
            name = ".".join(part for part in (attributes.get("classname"), attributes.get("name")) if part)
            self.case = (name_of(name, "test"), Outcome.SCORED, 1.0)
        elif tag in _OUTCOMES and self.case is not None and self.case[1:] == (Outcome.SCORED, 1.0):
            self.case = (self.case[0], *_OUTCOMES[tag])

    def end(self, tag: str) -> None:
        """Leave an element."""
        self.open.pop()
        if tag == "testcase" and self.case is not None:
            self._add(*self.case)
            self.case = None
        elif tag in {"testsuites", "testsuite"}:
            suite = self.suites.pop()
            if self.suites:
                self.suites[-1].counts.update(suite.counts)
            self._compare(suite)

    def _add(self, sample: str, outcome: Outcome, value: float | None) -> None:
        suite = self.suites[-1]
        task = suite.name
        repeat, self.seen[task, sample] = self.seen[task, sample], self.seen[task, sample] + 1
        self.rows.append(ImportedRow(task, sample, repeat, METRIC, outcome, value))
        suite.counts.update(["rows", "wrong" if value == 0.0 else outcome.value])
        if len(self.rows) > MAX_ROWS:
            raise _Unwelcome(f"it holds more than {MAX_ROWS:,} tests")

    def _compare(self, suite: _Suite) -> None:
        for attribute, what in _COUNTS.items():
            stated = suite.stated.get(attribute, "")
            if stated.isdecimal() and len(stated) < 10:  # noqa: PLR2004 -- no count is longer
                self.totals.append(Total(suite.name, METRIC, what, float(stated), float(suite.counts[what])))


def read(content: bytes, where: str) -> Imported:
    """Read a report. Raises: Invalid, TooLarge."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(content, True)  # noqa: FBT003 -- expat takes it by position: this is all
    except expat.ExpatError as error:
        raise Invalid(
            f"{where} is no whole XML: {expat.errors.messages[error.code]} in line {error.lineno}.",
            remedy="Check that the file is complete and that --format is right.",
        ) from error
    except _Unwelcome as error:
        kind = TooLarge if "more than" in str(error) or "deeper" in str(error) else Invalid
        raise kind(
            f"{where} is not read: {error}.", remedy="Give the report as the test runner writes it."
        ) from error
    return Imported(format="junit", tool="junit", rows=tuple(reader.rows), totals=tuple(reader.totals))


def _refuse_doctype(*_declared: object) -> None:
    raise _Unwelcome("it declares a DOCTYPE, which reports have no use for")
