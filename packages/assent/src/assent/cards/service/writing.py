"""A card in the forms that others read: a page that needs nothing else, Hugging Face, CycloneDX."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from typing import Any

import yaml
from jinja2 import PackageLoader
from markupsafe import Markup

from assent.cards import pdf
from assent.cards.domain import completeness, cyclonedx, huggingface, title_of
from assent.cards.domain.text import visible
from assent.cards.service.reading import View
from assent.cards.service.wire import view_to_wire
from assent.kernel.clock import to_text
from assent.web.pages import environment

STYLE = re.sub(r"\s*\n\s*", "\n", (files("assent.cards") / "templates" / "card.css").read_text("utf-8"))
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'"
"""The content security policy of the page: its own style sheet, and nothing else at all."""
PAGES = environment(PackageLoader("assent.cards"))
PAGES.filters["visible"] = visible


class Form(StrEnum):
    """The written forms of a card."""

    JSON = "json"
    MARKDOWN = "markdown"
    BRIEF = "brief"
    HTML = "html"
    PDF = "pdf"
    HUGGINGFACE = "huggingface"
    EVAL_RESULTS = "eval-results"
    CYCLONEDX = "cyclonedx"


@dataclass(frozen=True, slots=True)
class Written:
    """A card in one of its forms."""

    content: bytes
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


def write(view: View, form: Form, address: str, *, links: bool = False) -> Written:
    """Write a card; `address` is where it can be read, `links` leads from a page to the other forms there.

    Raises: Unavailable (no PDF can be printed here).
    """
    ways: dict[Form, Callable[[], str | bytes]] = {
        Form.JSON: lambda: _json(view_to_wire(view)),
        Form.MARKDOWN: view.markdown,
        Form.BRIEF: view.brief,
        Form.HTML: lambda: page_of(view, view.card.number if links else ""),
        Form.PDF: lambda: pdf.print_pdf(page_of(view)),
        Form.HUGGINGFACE: lambda: readme_of(view, address),
        Form.EVAL_RESULTS: lambda: eval_results_of(view, address),
        Form.CYCLONEDX: lambda: _json(bom_of(view)),
    }
    content = ways[form]()
    headers = {"content-security-policy": f"{POLICY}; frame-ancestors 'none'"} if form is Form.HTML else {}
    return Written(content if isinstance(content, bytes) else content.encode(), MEDIA_TYPES[form], headers)


MARKDOWN = "text/markdown; charset=utf-8"
MEDIA_TYPES = {
    Form.JSON: "application/json",
    Form.MARKDOWN: MARKDOWN,
    Form.BRIEF: MARKDOWN,
    Form.HTML: "text/html; charset=utf-8",
    Form.PDF: "application/pdf",
    Form.HUGGINGFACE: MARKDOWN,
    Form.EVAL_RESULTS: "application/yaml",
    Form.CYCLONEDX: "application/vnd.cyclonedx+json; version=1.7",
}
ENDINGS = {
    Form.JSON: ".json",
    Form.MARKDOWN: ".md",
    Form.BRIEF: ".brief.md",
    Form.HTML: ".html",
    Form.PDF: ".pdf",
    Form.HUGGINGFACE: ".hf.md",
    Form.EVAL_RESULTS: ".eval.yaml",
    Form.CYCLONEDX: ".cdx.json",
}
"""How files of each form are called."""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def page_of(view: View, address: str = "") -> str:
    """Write a self-contained page; with `address`, the stem of the other forms, it links to them."""
    found = completeness(view.document)
    n_met, n_asked = found.score
    return PAGES.get_template("card.html").render(
        card=view.card,
        title=title_of(view.document),
        sections=view.sections(),
        n_met=n_met,
        n_asked=n_asked,
        complete=found.complete,
        address=address,
        policy=POLICY,
        style=Markup(STYLE),  # noqa: S704 -- our own file
        base_model=view.document["version"].get("base_model"),
        owner=view.document["version"].get("owner"),
    )


def readme_of(view: View, address: str) -> str:
    """Write the README of a model on the Hugging Face Hub."""
    matter = huggingface.front_matter(view.document, view.card.digest, address)
    return f"---\n{_yaml(matter)}---\n{view.markdown()}"


def eval_results_of(view: View, address: str) -> str:
    """Write `.eval_results/assent.yaml`."""
    return _yaml(huggingface.eval_results(view.document, address))


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=2**20)


def bom_of(view: View) -> dict[str, Any]:
    """Write a CycloneDX BOM."""
    at = view.card.published_at or view.card.drafted_at
    return cyclonedx.bom(view.document, view.card.digest, to_text(at))
