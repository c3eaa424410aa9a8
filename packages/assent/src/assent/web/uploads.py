"""Forms with a text file in them: multipart bodies that are read whole already."""

from collections.abc import AsyncGenerator

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from assent.kernel.errors import Invalid

MULTIPART = "multipart/form-data"
MAX_FILES = 1


async def read_parts(headers: Headers, body: bytes, max_fields: int) -> dict[str, str]:
    """Give the fields of a multipart body; the text of a file stands under the name of its field.

    Raises: Invalid.
    """
    parser = MultiPartParser(
        headers, _whole(body), max_files=MAX_FILES, max_fields=max_fields, max_part_size=len(body)
    )
    try:
        found = await parser.parse()
    except (MultiPartException, KeyError) as error:
        raise Invalid(f"The form cannot be read: {error}.") from error
    try:
        return {name: await _text(value) for name, value in found.multi_items()}
    finally:
        await found.close()


async def _whole(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


async def _text(value: UploadFile | str) -> str:
    if isinstance(value, str):
        return value
    content = await value.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(
            f"{value.filename or 'The file'} is no text in UTF-8: byte {error.start + 1} is wrong.",
            remedy="Save it as UTF-8 and send it again.",
        ) from error
