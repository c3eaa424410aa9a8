"""The OpenAPI document: what FastAPI derives from the routes, and how each operation refuses (RFC 9457)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from assent.kernel.errors import (
    ERRORS,
    AssentError,
    Conflict,
    Forbidden,
    Frozen,
    Gone,
    Invalid,
    NotFound,
    RateLimited,
    Stale,
    TooLarge,
    Unauthenticated,
)
from assent.web.parameters import meaning

Document = dict[str, Any]

PROBLEM: Final = "application/problem+json"
INTERNAL: Final = "Internal"
NOUN: Final = 4
"""Where the noun stands in a path: /v1/projects/{project}/models/…"""
_TEXT: Final = {"type": "string"}
_TEXT_OR_NULL: Final = {"type": ["string", "null"]}
_PROBLEM_SCHEMA: Final[Document] = {
    "title": "Problem",
    "description": "Why a request was not done. Source: RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "reasons", "remedy", "request_id"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:assent:error:refused"]},
        "title": _TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What was wrong, and where."},
        "code": {"type": "string", "enum": [*ERRORS, "http", "internal"]},
        "reasons": {
            "type": "array",
            "description": "Every reason of a refusal, each with what to do.",
            "items": {
                "type": "object",
                "required": ["id", "message", "remedy", "have", "need"],
                "properties": {
                    "id": _TEXT,
                    "message": _TEXT,
                    "remedy": _TEXT,
                    "have": {"description": "What was found."},
                    "need": {"description": "What is needed."},
                },
            },
        },
        "remedy": _TEXT_OR_NULL,
        "request_id": _TEXT_OR_NULL,
    },
}


def describe(app: FastAPI) -> Document:
    """Give the OpenAPI document of every JSON route; made once for an application."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        components = document.setdefault("components", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            components.setdefault("schemas", {}).pop(unused, None)
        components["schemas"]["Problem"] = _PROBLEM_SCHEMA
        components["responses"] = {_name(status): _response(status) for status in _statuses()}
        for path, operations in document["paths"].items():
            for verb, operation in operations.items():
                operation["operationId"] = _operation_id(path, operation)
                _add_errors(verb, operation)
                for parameter in operation.get("parameters", ()):
                    parameter.setdefault("description", meaning(path, parameter))
        app.openapi_schema = document
    return app.openapi_schema


def _operation_id(path: str, operation: Mapping[str, Any]) -> str:
    """Name an operation by its topic and what it does, such as `flags_create_flag`."""
    topic = operation["tags"][-1]
    if topic == "labels":  # models and prompts have them
        topic = f"{path.split('/')[NOUN].removesuffix('s')}_labels"
    return f"{topic}_{operation['summary'].lower().replace(' ', '_')}"


def _add_errors(verb: str, operation: Document) -> None:
    answers = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422")):
        del answers["422"]
    for status in _refusals(verb, operation):
        answers.setdefault(str(status), {"$ref": f"#/components/responses/{_name(status)}"})


def _refusals(verb: str, operation: Mapping[str, Any]) -> Iterator[int]:
    """List how an operation may refuse, by what it takes."""
    parameters = operation.get("parameters", ())
    yield Frozen.status
    yield 500
    if "security" in operation:
        yield from (Unauthenticated.status, Forbidden.status)
    elif verb != "get":  # what one signs in with may be wrong
        yield Unauthenticated.status
    if "security" in operation or parameters:
        yield from (NotFound.status, Gone.status)
    if parameters or "requestBody" in operation:
        yield Invalid.status
    if "requestBody" in operation:
        yield from (TooLarge.status, RateLimited.status)
    if verb != "get" or any(one["in"] == "path" for one in parameters):
        yield Conflict.status
    if verb != "get":
        yield Stale.status


def _statuses() -> list[int]:
    return sorted({error.status for error in ERRORS.values()} | {500})


def _errors(status: int) -> list[type[AssentError]]:
    return [error for error in ERRORS.values() if error.status == status]


def _name(status: int) -> str:
    return "Or".join(error.__name__ for error in _errors(status)) or INTERNAL


def _response(status: int) -> Document:
    said = " ".join(str(error.__doc__) for error in _errors(status))
    return {
        "description": said or "The server failed; its log says why under `request_id`.",
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def gives(*media_types: str, status: int = 200, says: str = "Done.") -> dict[int | str, Document]:
    """Declare, as `responses` of a route, which media types an answer has that FastAPI cannot derive."""
    return {status: {"description": says, "content": {one: {"schema": _schema(one)} for one in media_types}}}


def _schema(media_type: str) -> Document:
    """Say what any content of a media type is: YAML may be anything."""
    kinds = {
        "object": media_type.partition(";")[0].endswith(("/json", "+json")),
        "string": "yaml" not in media_type,
    }
    return next(({"type": kind} for kind, is_it in kinds.items() if is_it), {})


def takes_known(description: str) -> Document:
    """Declare, as `openapi_extra` of a route, that it answers 304 where `If-None-Match` names what it has."""
    header = {
        "name": "if-none-match",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": description,
    }
    return {"parameters": [header], "responses": {"304": {"description": "The caller has it already."}}}


EXISTED: Final = gives("application/json", says="It existed already, or was only checked.")
MADE: Final = gives("application/json", status=201, says="It is new.")
