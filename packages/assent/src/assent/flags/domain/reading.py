"""Reading what somebody wrote as a flag, with every fault at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from assent.flags.domain.document import (
    KEYS,
    MAX_DOCUMENT_BYTES,
    MAX_TEXT,
    MAX_VALUE_BYTES,
    MAX_VARIANTS,
    NAME,
    SALT,
    UNIT,
    Flag,
    Rule,
    flag_document,
    kind_of,
    list_faults,
    whole,
)
from assent.flags.domain.splits import Range, read_ranges, redistribute
from assent.kernel.canonical import canonical
from assent.kernel.errors import Invalid, Reason
from assent_client.decide import BUCKETS

_DEFAULTS: Final[Mapping[str, Any]] = {
    "description": "",
    "owner": "",
    "permanent": False,
    "ends_on": None,
    "variants": {"on": True, "off": False},
    "off": "off",
    "enabled": True,
    "unit": "user",
    "salt": "",
    "prerequisites": [],
    "rules": [],
    "split": {},
}


def read_flag(form: Mapping[str, Any], salt: str, before: Flag | None = None) -> Flag:
    """Read what somebody wrote; what they left out stays as it was. `salt` is used for a new flag.

    Raises: Invalid with every fault.
    """
    return _Reader(form, salt, before).read()


class _Reader:
    """Read one form, collecting every fault on the way."""

    def __init__(self, form: Mapping[str, Any], salt: str, before: Flag | None) -> None:
        stored = flag_document(before) if before else {"salt": form.get("salt") or salt}
        self.before = before
        self.form = {**_DEFAULTS, **stored, **form}
        self.faults: list[Reason] = []

    def read(self) -> Flag:
        unknown = sorted(self.form.keys() - KEYS)
        if unknown:
            self._fault(
                "document", f"Unknown fields: {', '.join(unknown)}.", f"There are {', '.join(sorted(KEYS))}."
            )
        self._size()
        self._variants()
        self._salt()
        self._plain()
        if self.faults:
            raise self._refusal()
        found = Flag(
            variants=self.form["variants"],
            off=self.form["off"],
            enabled=self.form["enabled"],
            unit=self.form["unit"],
            salt=self.form["salt"],
            prerequisites=tuple(self._objects("prerequisites")),
            rules=self._rules(),
            split=self._split("split", self.form["split"], self.before.split if self.before else ()),
            description=self.form["description"],
            owner=self.form["owner"],
            permanent=self.form["permanent"],
            ends_on=self._ends_on(),
        )
        if self.faults:
            raise self._refusal()
        return found

    def _refusal(self) -> Invalid:
        return Invalid("The flag is not valid.", reasons=self.faults, remedy="Mend what is listed.")

    def _fault(self, where: str, message: str, remedy: str = "") -> None:
        self.faults.append(Reason(where, message, remedy))

    def _size(self) -> None:
        try:
            size = len(canonical(self.form))
        except Invalid as error:
            self._fault("document", error.message)
            return
        if size > MAX_DOCUMENT_BYTES:
            self._fault(
                "document",
                f"The document has {size:,} bytes; {MAX_DOCUMENT_BYTES:,} at most.",
                "Put long lists into segments.",
            )

    def _variants(self) -> None:
        variants = self.form["variants"]
        if not isinstance(variants, Mapping) or not 1 <= len(variants) <= MAX_VARIANTS:
            self._fault("variants", f"variants is an object with 1 to {MAX_VARIANTS} names and their values.")
            return
        for name, value in variants.items():
            if not NAME.match(name):
                self._fault(
                    "variants", f"{name!r} is not a name for a variant.", "Use letters, digits, . _ -"
                )
            if value is None or len(canonical(value)) > MAX_VALUE_BYTES:
                self._fault(
                    "variants", f"The value of {name} is null, or has over {MAX_VALUE_BYTES:,} bytes."
                )
        kinds = {kind_of(value) for value in variants.values()}
        if len(kinds) > 1:
            self._fault(
                "variants",
                f"The values are of several types: {', '.join(sorted(kinds))}.",
                "Give all variants values of one type.",
            )
        off = self.form["off"]
        if not isinstance(off, str) or off not in variants:
            self._fault("off", f"The off variant {off!r} is not among the variants.", "Name one by `off`.")

    def _salt(self) -> None:
        salt = self.form["salt"]
        if not isinstance(salt, str) or not SALT.match(salt):
            self._fault("salt", "The salt has 32 characters of 0-9a-f.", "Leave it out: one is drawn.")
        elif self.before is not None and salt != self.before.salt:
            self._fault("salt", "Another salt would move everybody.", "Leave it out, or make a new flag.")

    def _plain(self) -> None:
        for name, kind in (("enabled", bool), ("permanent", bool), ("description", str), ("owner", str)):
            value = self.form[name]
            if not isinstance(value, kind) or (isinstance(value, str) and len(value) > MAX_TEXT):
                self._fault(
                    name, f"{name} is {'yes or no' if kind is bool else f'a text of {MAX_TEXT} at most'}."
                )
        if not isinstance(self.form["unit"], str) or not UNIT.match(self.form["unit"]):
            self._fault("unit", "The unit is the name of an attribute, such as user or organisation.")

    def _ends_on(self) -> date | None:
        value = self.form["ends_on"]
        if value is None:
            return None
        try:
            return date.fromisoformat(value)
        except (TypeError, ValueError):
            self._fault("ends_on", f"{value!r} is not a date.", "Write it as 2027-01-31.")
            return None

    def _objects(self, name: str) -> list[Mapping[str, Any]]:
        value = self.form[name]
        if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
            self._fault(name, f"{name} is a list of objects.")
            return []
        return value

    def _rules(self) -> tuple[Rule, ...]:
        known = {rule.id: rule.ranges for rule in self.before.rules} if self.before else {}
        found: list[Rule] = []
        for number, rule in enumerate(self._objects("rules"), 1):
            where = f"rules.{number}"
            given = rule.keys() - {"id", "when"}
            if given not in ({"variant"}, {"split"}) or not isinstance(rule.get("when"), list):
                self._fault(where, "A rule has when (a list), and either variant or split; and an id.")
                continue
            which = rule.get("id", f"rule-{number}")
            if not isinstance(which, str) or not NAME.match(which) or which in {one.id for one in found}:
                self._fault(where, f"{which!r} is not an id of one rule only.", "Use letters, digits, . _ -")
                continue
            outcome = rule["variant"] if "variant" in rule else rule["split"]
            ranges = self._split(where, outcome, known.get(which, ()))
            self._lists(where, rule["when"])
            found.append(Rule(id=which, when=tuple(rule["when"]), ranges=ranges))
        return tuple(found)

    def _lists(self, where: str, when: list[Any]) -> None:
        for fault in list_faults(when, {self.form["unit"]}):
            self._fault(where, fault)

    def _split(self, where: str, value: Any, before: tuple[Range, ...]) -> tuple[Range, ...]:
        """Read a split of whatever form as ranges."""
        off = self.form["off"]
        if isinstance(value, list):
            try:
                return read_ranges(value)  # gaps and overlaps are found when the route is compiled
            except (KeyError, TypeError):
                self._fault(where, "A split by ranges is a list of {variant, start, end}.")
                return whole(off)
        shares = {value: 1} if isinstance(value, str) else value
        if not isinstance(shares, Mapping):
            self._fault(where, "A split is a variant, shares by variant, or a list of ranges.")
            return whole(off)
        millionths = {name: self._millionths(where, name, share) for name, share in shares.items()}
        left = BUCKETS - sum(millionths.values())
        if left < 0:
            self._fault(where, f"The shares add up to more than 1: {1 - left / BUCKETS:g}.", "Lower them.")
            return whole(off)
        if left:
            millionths[off] = millionths.get(off, 0) + left
        kept = tuple(one for one in before if one.variant in self.form["variants"])
        return redistribute(kept if kept == before else (), millionths)

    def _millionths(self, where: str, name: str, share: Any) -> int:
        if name not in self.form["variants"]:
            self._fault(
                where, f"There is no variant {name!r}.", f"There are {', '.join(self.form['variants'])}."
            )
            return 0
        is_number = isinstance(share, int | float) and not isinstance(share, bool)
        exact = round(share * BUCKETS) if is_number and 0 <= share <= 1 else -1
        if exact < 0 or abs(share * BUCKETS - exact) > 1e-4:  # noqa: PLR2004 -- what floats lose
            self._fault(
                where,
                f"The share of {name} is {share!r}.",
                "A share is in [0, 1], with six decimals at most.",
            )
            return 0
        return exact
