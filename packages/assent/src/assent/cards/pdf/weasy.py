"""A process of its own: print `card.html` of its folder as `card.pdf` by WeasyPrint, fetching nothing."""

import importlib
from pathlib import Path


def main() -> None:
    """Print the page."""
    weasyprint = importlib.import_module("weasyprint")
    urls = importlib.import_module("weasyprint.urls")
    page = Path("card.html").read_text(encoding="utf-8")
    nothing = urls.URLFetcher(allowed_protocols=())
    weasyprint.HTML(string=page, url_fetcher=nothing).write_pdf("card.pdf")


if __name__ == "__main__":
    main()
