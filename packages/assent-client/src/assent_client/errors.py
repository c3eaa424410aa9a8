"""The closed set of errors: one class per code, one table for wire, exit code and SDK.

AssentError
├── Invalid          422  exit 10   the input is malformed or breaks a rule of form
├── Unauthenticated  401  exit 11   no credentials, or unknown, expired or revoked ones
├── Forbidden        403  exit 12   the caller lacks the permission
├── NotFound         404  exit 13   no such thing, or not yours to see
├── Gone             410  exit 14   it was there and was retired
├── Conflict         409  exit 15   the present state does not allow it
├── Refused          409  exit 16   a rule says no: `reasons` holds every one
├── Stale            412  exit 17   what you saw has changed since
├── TooLarge         413  exit 18   over a declared limit
├── RateLimited      429  exit 19   too many at once
├── Frozen           503  exit 20   the ledger takes no changes at present
└── Unavailable      503  exit 21   a part we need does not answer

Anything else is a defect: "internal", 500, exit 70, an id for the user and the detail in the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

INTERNAL_EXIT_CODE = 70


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of a refusal: what is needed, what was found, and what to do."""

    id: str
    message: str
    remedy: str = ""
    have: Any = None
    need: Any = None

    def to_wire(self) -> dict[str, Any]:
        """Give the JSON form."""
        return asdict(self)


class AssentError(Exception):
    """Base of every error that is meant for the caller."""

    code: ClassVar[str]
    status: ClassVar[int]
    exit_code: ClassVar[int]
    title: ClassVar[str]

    def __init__(self, message: str, *, remedy: str | None = None, reasons: Sequence[Reason] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.reasons = tuple(reasons)
        self.request_id: str | None = None

    def to_wire(self, request_id: str | None = None) -> dict[str, Any]:
        """Give the RFC 9457 problem document."""
        return {
            "type": f"urn:assent:error:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.message,
            "code": self.code,
            "reasons": [reason.to_wire() for reason in self.reasons],
            "remedy": self.remedy,
            "request_id": request_id,
        }


class Invalid(AssentError):
    """The input is malformed or breaks a rule of form."""

    code, status, exit_code, title = "invalid", 422, 10, "Invalid input"


class Unauthenticated(AssentError):
    """The caller gave no credentials, or unknown, expired or revoked ones."""

    code, status, exit_code, title = "unauthenticated", 401, 11, "Not signed in"


class Forbidden(AssentError):
    """The caller lacks the permission."""

    code, status, exit_code, title = "forbidden", 403, 12, "Not allowed"


class NotFound(AssentError):
    """There is no such thing."""

    code, status, exit_code, title = "not_found", 404, 13, "Not found"


class Gone(AssentError):
    """It was there and was retired."""

    code, status, exit_code, title = "gone", 410, 14, "Gone"


class Conflict(AssentError):
    """The present state does not allow it."""

    code, status, exit_code, title = "conflict", 409, 15, "Conflict"


class Refused(AssentError):
    """A rule says no; `reasons` holds every one with its remedy."""

    code, status, exit_code, title = "refused", 409, 16, "Refused"


class Stale(AssentError):
    """What the caller saw has changed since."""

    code, status, exit_code, title = "stale", 412, 17, "Changed since you looked"


class TooLarge(AssentError):
    """The input is over a declared limit."""

    code, status, exit_code, title = "too_large", 413, 18, "Too large"


class RateLimited(AssentError):
    """Too many at once."""

    code, status, exit_code, title = "rate_limited", 429, 19, "Too many requests"


class Frozen(AssentError):
    """The ledger takes no changes at present."""

    code, status, exit_code, title = "frozen", 503, 20, "Frozen"


class Unavailable(AssentError):
    """A part that is needed does not answer."""

    code, status, exit_code, title = "unavailable", 503, 21, "Unavailable"


ERRORS: Mapping[str, type[AssentError]] = {
    cls.code: cls
    for cls in (
        Invalid, Unauthenticated, Forbidden, NotFound, Gone, Conflict,
        Refused, Stale, TooLarge, RateLimited, Frozen, Unavailable,
    )
}  # fmt: skip


class Internal(Exception):
    """The server failed in a way it did not foresee; `request_id` finds the detail in its log."""

    def __init__(self, message: str, request_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.request_id = request_id


def from_wire(problem: Mapping[str, Any], status: int) -> AssentError | Internal:
    """Turn a problem document into the exception it stands for."""
    detail = str(problem.get("detail") or problem.get("title") or f"The server answered {status}.")
    request_id = problem.get("request_id")
    cls = ERRORS.get(str(problem.get("code")))
    if cls is None:
        return Internal(detail, request_id)
    known = ("id", "message", "remedy", "have", "need")
    reasons = [
        Reason(**{k: row[k] for k in known if k in row})
        for row in problem.get("reasons") or ()
        if "id" in row and "message" in row
    ]
    error = cls(detail, remedy=problem.get("remedy"), reasons=reasons)
    error.request_id = request_id
    return error
