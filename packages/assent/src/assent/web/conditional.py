"""Conditional reads of what is known by its digest."""

from fastapi import Request, Response


def unchanged(request: Request, digest: str) -> Response | None:
    """Answer 304 where the caller has this content already. Source: RFC 9110, section 13.1.2."""
    header = request.headers.get("if-none-match", "")
    known = {tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")}
    return Response(status_code=304, headers={"etag": f'"{digest}"'}) if known & {digest, "*"} else None
