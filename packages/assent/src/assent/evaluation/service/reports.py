"""Reports of closed runs: what was found, what flipped, slices by tag; and two runs beside each other."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from assent.evaluation.domain import usage
from assent.evaluation.domain.cases import CaseRecord
from assent.evaluation.domain.dataset import Row
from assent.evaluation.domain.gate import Direction, Gate, Rule
from assent.evaluation.domain.several import Contrast, contrast, scores_of, slices, with_holm
from assent.evaluation.domain.suite import REFUSED, gate_document
from assent.evaluation.service.contents import contents_of, records_of
from assent.evaluation.service.report_tables import Listing, tables_of
from assent.evaluation.service.runs import result_of
from assent.evaluation.store import Run
from assent.kernel.clock import to_text
from assent.kernel.errors import Conflict, Invalid
from assent.kernel.tx import Reader
from assent.web import charts
from assent.web.charts import Estimate, Limit, percent

__all__ = ["Listing", "compare", "flips", "forest", "limits_of", "report", "tables_of", "to_html"]

WHAT = {Rule.THRESHOLD: "level", Rule.MAX_GAP: "largest gap between two groups"}
MAX_FLIPS = 200
MAX_TEXT = 4000
_CSP = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #bbb}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0;font-size:.85rem}
figure{margin:1rem 0}ol{list-style:none;padding:0}
li{display:grid;grid-template-columns:12rem 1fr 18rem;gap:1rem;align-items:center}
.axis-row svg{grid-column:2}svg{overflow:visible}
.range{stroke:#333;stroke-width:3}.point{fill:#333}.limit{stroke:#b00;stroke-dasharray:4 3;stroke-width:2}
.tick{font-size:12px;text-anchor:middle}.tick.start{text-anchor:start}.tick.end{text-anchor:end}
@media(max-width:40rem){li{grid-template-columns:1fr}}
"""


def report(reader: Reader, run: Run) -> dict[str, Any]:
    """Gather all that is said of a closed run. Raises: Conflict (it is not closed)."""
    result = result_of(reader, run)
    if result is None or run.journal is None:
        raise Conflict(f"The run {run.id} is {run.state}; only a closed run has a report.")
    suite, rows = contents_of(reader, run)
    records = records_of(reader, run.journal)
    paired = run.baseline is not None
    found = slices(rows, records, suite.gate.metric, paired=paired)
    return {
        "run": run.id,
        "suite": run.suite_ref,
        "subject": run.subject_ref,
        "subject_digest": run.subject,
        "baseline": run.baseline_ref,
        "closed_at": None if run.ended_at is None else to_text(run.ended_at),
        "gate": gate_document(suite.gate),
        "result": {name: value for name, value in result.items() if name not in {"gained", "lost"}},
        "n_gained": len(result["gained"]),
        "n_lost": len(result["lost"]),
        "flips": flips(rows, records, result),
        "slices": [one.to_document() for one in found],
        "took": usage.lines_of(result.get("usage", ())),
    }


def flips(
    rows: Sequence[Row], records: Sequence[CaseRecord], result: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """List cases that one side got right and the other wrong, lost ones first, with both answers."""
    by_key = {row.key: row for row in rows}
    said: dict[tuple[str, str], CaseRecord] = {}
    for record in records:
        said.setdefault((record.sample, record.side), record)
    listed = [("lost", key) for key in result["lost"]] + [("gained", key) for key in result["gained"]]
    return [
        {
            "flip": flip,
            "id": by_key[key].id,
            "tags": list(by_key[key].tags),
            "input": _cut(by_key[key].input),
            "target": _cut(by_key[key].target),
            **{side: _answer(said.get((key, side))) for side in ("candidate", "baseline")},
        }
        for flip, key in listed[:MAX_FLIPS]
        if key in by_key
    ]


def _answer(record: CaseRecord | None) -> str | None:
    return None if record is None or record.answer is None else _cut(record.answer.text)


def _cut(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"


def compare(reader: Reader, first: Run, second: Run) -> dict[str, Any]:
    """Compare what two closed runs say of their subjects, on the samples that both asked.

    The difference is second minus first, for each metric that both have. Raises: Conflict, Invalid.
    """
    sides = []
    for run in (first, second):
        if run.journal is None:
            raise Conflict(f"The run {run.id} is {run.state}; only closed runs are compared.")
        suite, rows = contents_of(reader, run)
        sides.append((suite, rows, records_of(reader, run.journal)))
    (one, rows, before), (other, other_rows, after) = sides
    metrics = [s.name for s in one.scorers if s.name in {t.name for t in other.scorers}]
    shared = {row.key for row in rows} & {row.key for row in other_rows}
    if not shared:
        raise Invalid(
            f"{first.id} and {second.id} have no sample in common.", remedy="Compare runs of one dataset."
        )
    contrasts: list[Contrast] = []
    changed: dict[str, dict[str, int]] = {}
    for metric in [*metrics, REFUSED]:
        old, new = scores_of(before, "candidate", metric), scores_of(after, "candidate", metric)
        found = contrast(metric, new, old)
        if found is not None:
            contrasts.append(found)
            both = old.keys() & new.keys()
            changed[metric] = {
                "gained": sum(new[key] > old[key] for key in both),
                "lost": sum(new[key] < old[key] for key in both),
            }
    return {
        "first": _line(first),
        "second": _line(second),
        "same_suite": first.suite == second.suite,
        "n_shared": len(shared),
        "n_only_first": len(rows) - len(shared),
        "n_only_second": len(other_rows) - len(shared),
        "metrics": [{**c.to_document(), **changed[c.name]} for c in with_holm(contrasts)],
    }


def _line(run: Run) -> dict[str, Any]:
    return {"run": run.id, "suite": run.suite_ref, "subject": run.subject_ref, "verdict": run.verdict}


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def _estimates(found: Sequence[Mapping[str, Any]], name: str) -> list[Estimate]:
    return [
        Estimate(
            str(one[name]) if "side" not in one else f"{one[name]}, {one['side']}",
            _number(one["value"]),
            _number(one["low"]),
            _number(one["high"]),
            f"{one['value']} [{one['low']}, {one['high']}], n = {one['n']}",
        )
        for one in found
        if one["value"] is not None
    ]


def limits_of(gate: Gate) -> list[Limit]:
    """Give what the interval has to clear, in the metric's own direction."""
    if gate.rule is Rule.THRESHOLD:
        word = "at least" if gate.direction is Direction.HIGHER else "at most"
        return [Limit(gate.limit, f"{word} {percent(gate.limit)}")]
    if gate.rule is Rule.MAX_GAP:
        return [Limit(gate.limit, f"largest gap allowed {percent(gate.limit)}")]
    bar = [] if gate.rule is Rule.SUPERIOR else [Limit(-gate.sign * gate.limit, f"margin {gate.limit:g}")]
    return [*bar, Limit(0.0, "no difference")]


def forest(found: Sequence[Mapping[str, Any]], *, paired: bool) -> Markup:
    """Draw slices under each other, each with its interval."""
    if not found:
        return Markup()
    title = "Slices by tag: candidate minus baseline" if paired else "Slices by tag"
    return charts.intervals(title, _estimates(found, "name"), [Limit(0.0, "no difference")] if paired else [])


def to_html(said: Mapping[str, Any], gate: Gate) -> str:
    """Write a report as one page that needs nothing else; all that models wrote is text."""
    result = said["result"]
    paired = said["baseline"] is not None
    title = f"{said['suite']} on {said['subject']}"
    judged = charts.intervals(
        f"{gate.metric}: {WHAT.get(gate.rule, 'candidate minus baseline')}",
        _estimates([{**result, "name": gate.metric, "value": result["estimate"]}], "name"),
        limits_of(gate),
    )
    parts = [
        Markup("<h1>{}</h1><p><strong>{}</strong> · run {} · {}</p>").format(
            title, result["verdict"], said["run"], said["closed_at"] or ""
        ),
        judged,
        Markup("<p>{}</p>").format("; ".join(result["reasons"])),
        charts.intervals("Levels, 95 % intervals", _estimates(result["levels"], "metric")),
        _took_table(said["took"]),
        forest(said["slices"], paired=paired),
        *(table.to_html() for table in tables_of(said)),
        _flip_table(said) if paired else Markup(),
        Markup("<h2>Proof</h2><p>Subject {}<br>Cases {}</p>").format(
            said["subject_digest"], result["digest"]
        ),
    ]
    return Markup(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{}</title>'
        '<meta http-equiv="Content-Security-Policy" content="{}">'
        "<style>{}</style></head><body>{}</body></html>"
    ).format(title, _CSP, Markup(_STYLE), Markup().join(parts))  # noqa: S704 -- our own style sheet


def _took_table(took: Sequence[Mapping[str, str]]) -> Markup:
    row = Markup("<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>")
    rows = [
        row.format(one["side"], one["latency_p50_ms"], one["latency_p95_ms"], one["tokens"], one["cost"])
        for one in took
    ]
    return Markup(
        "<h2>What it took</h2><table><thead><tr><th>side</th><th>latency p50, ms</th><th>latency p95, ms</th>"
        "<th>tokens</th><th>cost</th></tr></thead><tbody>{}</tbody></table>"
    ).format(Markup().join(rows))


def _flip_table(said: Mapping[str, Any]) -> Markup:
    row = Markup(
        "<tr><td>{}</td><td>{}</td><td><pre>{}</pre></td><td><pre>{}</pre></td><td><pre>{}</pre></td></tr>"
    )
    rows = [
        row.format(one["flip"], one["id"], one["input"], one["baseline"] or "", one["candidate"] or "")
        for one in said["flips"]
    ]
    return Markup(
        "<h2>Flips</h2><p>{} gained, {} lost{}</p><table><thead><tr><th>flip</th><th>case</th><th>input</th>"
        "<th>baseline</th><th>candidate</th></tr></thead><tbody>{}</tbody></table>"
    ).format(
        said["n_gained"],
        said["n_lost"],
        f"; the first {MAX_FLIPS} are listed" if len(rows) == MAX_FLIPS else "",
        Markup().join(rows),
    )
