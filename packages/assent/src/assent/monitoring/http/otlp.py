"""The route that takes spans of applications, as an OTLP/HTTP exporter sends them."""

import zlib
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response

from assent.identity.domain import Permission
from assent.kernel.errors import Invalid, TooLarge
from assent.monitoring import service
from assent.web.api import Call, ProjectPath, requires
from assent.web.openapi import gives

router = APIRouter(tags=["monitoring"])

JSON, PROTOBUF = "application/json", "application/x-protobuf"
MOST_BYTES = 16_000_000
"""Of a request, unpacked."""
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "An ExportTraceServiceRequest of OTLP, in JSON or protobuf, perhaps packed with gzip.",
        "content": {
            JSON: {"schema": {"type": "object"}},
            PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


async def raw_body(request: Request) -> bytes:
    """Read the body as it came."""
    return await request.body()


@router.post(
    "/projects/{project}/otlp/v1/traces",
    openapi_extra=_FORM,
    response_class=Response,
    responses=gives(JSON, PROTOBUF),
)
def record_spans(
    project: ProjectPath,
    body: Annotated[bytes, Depends(raw_body)],
    call: Annotated[Call, requires(Permission.OBSERVATION_RECORD)],
    environment: Annotated[str | None, Query(max_length=63, description="Of spans that name none.")] = None,
    content_type: Annotated[str, Header(description="Of the body: JSON or protobuf.")] = JSON,
    content_encoding: Annotated[str, Header(description="`identity` or `gzip`.")] = "identity",
) -> Response:
    """Take inference spans (GenAI conventions) as observations of calls without a decision of ours."""
    plain = _unpacked(body, content_encoding.strip().lower())
    is_protobuf = content_type.partition(";")[0].strip().lower() == PROTOBUF
    spans = service.spans.from_protobuf(plain) if is_protobuf else service.spans.from_json(plain)
    sender = service.otlp.Sender(project, call.actor.id, environment)
    with call.read() as reader:
        batch = service.otlp.batch_of(reader, spans, sender, plain)
        prepared = service.prepare(reader, batch, plain)
    with call.begin() as tx:
        receipt = service.take(tx, batch, plain, prepared)
    why = "; ".join(f"span {one['index']}: {one['reason']}" for one in receipt["rejections"][:5])
    answer = service.spans.answer_in_protobuf if is_protobuf else service.spans.answer_in_json
    return Response(answer(receipt["n_rejected"], why), media_type=PROTOBUF if is_protobuf else JSON)


def _unpacked(body: bytes, coding: str) -> bytes:
    """Undo the content coding, within bounds. Raises: Invalid, TooLarge."""
    if coding == "identity":
        return body
    if coding != "gzip":
        raise Invalid(f"The content coding {coding!r} is not read.", remedy="Send it plain or with gzip.")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(body, MOST_BYTES + 1)
    except zlib.error as error:
        raise Invalid(f"This is not gzip: {error}.", remedy="Send it plain or with gzip.") from error
    if len(plain) > MOST_BYTES:
        raise TooLarge(
            f"Unpacked, the request has more than {MOST_BYTES:,} bytes.",
            remedy="Let the exporter send smaller batches.",
        )
    if not unpacker.eof or unpacker.unused_data:
        raise Invalid("The gzip stream ends too early, or more follows it.", remedy="Send one whole stream.")
    return plain
