"""The tables of a run's report besides its gate: one shape, drawn by the page and by the console."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

BOUNDS = ("value", "low", "high")


@dataclass(frozen=True, slots=True)
class Listing:
    """A listing with its heading and a sentence on how to read it; cells are text."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def anchor(self) -> str:
        """Give the name of its place on a page."""
        return "-".join(re.findall(r"\w+", self.title.casefold()))

    def to_html(self) -> Markup:
        """Draw it on a page of its own."""
        head = Markup().join(Markup('<th scope="col">{}</th>').format(one) for one in self.columns)
        body = Markup().join(
            Markup("<tr>{}</tr>").format(Markup().join(Markup("<td>{}</td>").format(one) for one in row))
            for row in self.rows
        )
        return Markup(
            "<h2>{}</h2><p>{}</p><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>"
        ).format(self.title, self.note, head, body)


def tables_of(said: Mapping[str, Any]) -> list[Listing]:
    """List the tables that a report has something to say in."""
    result = said["result"]
    found = [_judges(result.get("judges", ())), _categories(result.get("categories", ()))]
    found += [table for one in result.get("gaps", ()) for table in _gaps(one)]
    return [table for table in found if table.rows]


def _judges(judges: Sequence[Mapping[str, Any]]) -> Listing:
    return Listing(
        "Judges",
        "A judge decides a gate only by a usable passport; its rate is corrected for the errors found there.",
        ("Metric", "Model", "May decide", "Passport", "Rate as judged", "Corrected", "Self-agreement",
         "Order bias", "Off-format or unanswered", "Warnings"),
        tuple(
            (
                one["metric"],
                one["model"],
                "yes" if one["state"] == "usable" else f"no: {one['state']}. {one['remedy']}",
                "none" if one["passport"] is None else f"{one['passport']} on {one['calibrated_on']}",
                "none" if one["judged"] is None else f"{percent(one['judged'])}, n = {one['n']}",
                one["corrected"] if isinstance(one["corrected"], str) else interval(one["corrected"]),
                interval(one["self_agreement"]),
                interval(one["order_bias"]),
                f"{one['off_format']} or {one['unanswered']} of {one['n_replies'] + one['unanswered']}",
                "; ".join(one["warnings"]) or "none",
            )
            for one in judges
        ),
    )  # fmt: skip


def _categories(categories: Sequence[Mapping[str, Any]]) -> Listing:
    return Listing(
        "Categories",
        "A hit is an answer on the wrong side of the metric. Bounds are one-sided, 95 %: no sample shows "
        "that there is none.",
        ("Category", "By", "Cases", "Hits at the first attempt", "Attempts", "Hits at any attempt"),
        tuple(
            (
                one["name"],
                one["field"],
                str(one["planned"]),
                one["at_1"]["says"],
                str(one["attempts"]),
                one["at_k"]["says"],
            )
            for one in categories
        ),
    )


def _gaps(gaps: Mapping[str, Any]) -> tuple[Listing, Listing]:
    metric = gaps["metric"]
    left_out = f" {gaps['n_without']} cases name no group or no cluster." if gaps["n_without"] else ""
    return (
        Listing(
            f"Groups: {metric}",
            f"The metric for each group, 95 % intervals; cases of one cluster count once.{left_out}",
            ("Group", "Estimate", "Clusters"),
            tuple((one["name"], _bounded(one), str(one["n"])) for one in gaps["groups"]),
        ),
        Listing(
            f"Gaps: {metric}",
            "Pairs of groups on the same clusters, 95 % intervals; p is adjusted for all pairs (Holm).",
            ("Pair", "Difference", "Clusters", "p (Holm)"),
            tuple(
                (one["name"], _bounded(one), str(one["n"]), one["adjusted"] or "none")
                for one in gaps["pairs"]
            ),
        ),
    )


def _bounded(one: Mapping[str, Any]) -> str:
    return percent(one["value"]) if one["low"] is None else interval({key: one[key] for key in BOUNDS})


def percent(figure: str) -> str:
    """Write a share in percent."""
    return f"{100 * float(figure):.1f} %"


def interval(found: Mapping[str, Any] | None) -> str:
    """Write an estimate with its interval."""
    if found is None:
        return "not measured"
    cases = f", n = {found['n']}" if "n" in found else ""
    return f"{percent(found['value'])} [{percent(found['low'])}, {percent(found['high'])}]{cases}"
