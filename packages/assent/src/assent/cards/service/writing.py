"""A card in the forms that others read: a page that needs nothing else, Hugging Face, CycloneDX."""

import base64
import hashlib
import re
from importlib.resources import files
from typing import Any

import yaml
from jinja2 import PackageLoader
from markupsafe import Markup

from assent.cards.domain import completeness, cyclonedx, huggingface, title_of
from assent.cards.domain.text import visible
from assent.cards.service.reading import View
from assent.kernel.clock import to_text
from assent.web.pages import environment

STYLE = re.sub(r"\s*\n\s*", "\n", (files("assent.cards") / "templates" / "card.css").read_text("utf-8"))
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'"
"""The content security policy of the page: its own style sheet, and nothing else at all."""
PAGES = environment(PackageLoader("assent.cards"))
PAGES.filters["visible"] = visible


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
