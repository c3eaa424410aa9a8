"""A process of its own: print `card.html` of its folder as `card.pdf` by WeasyPrint, fetching nothing."""

import importlib
from pathlib import Path
from typing import NoReturn


def _fetch(url: str, *_: object, **__: object) -> NoReturn:
    raise ValueError(f"a card fetches nothing: {url[:100]}")


def main() -> None:
    """Print the page."""
    weasyprint = importlib.import_module("weasyprint")
    page = Path("card.html").read_text(encoding="utf-8")
    weasyprint.HTML(string=page, url_fetcher=_fetch).write_pdf("card.pdf")


if __name__ == "__main__":
    main()
