"""Counterfactual swaps: one written case becomes a case for each group, alike but for the words swapped.

{"id":"refund-1","input":"{{name}} asks for help.","swaps":{"women":{"name":"Anna"},"men":{"name":"Paul"}}}
becomes two rows of one cluster, refund-1/women and refund-1/men, whose metadata names the group.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from assent.evaluation.domain.fields import Mistakes

SWAPS = "swaps"
GROUP = "group"
_PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def expand(rows: Sequence[Any]) -> list[Any]:
    """Write out the rows that hold swaps; others stay. Raises: Invalid with every mistake."""
    mistakes = Mistakes()
    found: list[Any] = []
    for number, raw in enumerate(rows, start=1):
        if isinstance(raw, Mapping) and SWAPS in raw:
            found += _expanded(raw, f"row {number}", mistakes)
        else:
            found.append(raw)
    mistakes.check("The dataset")
    return found


def _expanded(raw: Mapping[str, Any], place: str, mistakes: Mistakes) -> list[dict[str, Any]]:
    swaps, rest = raw[SWAPS], {key: value for key, value in raw.items() if key != SWAPS}
    if not _are_swaps(swaps):
        mistakes.add(f"{place}.{SWAPS}", "must give two groups or more, each the words for the same names")
        return []
    names, used = set(next(iter(swaps.values()))), _names(rest.get("input"))
    if names != used:
        both = f"the swaps name {_listed(names)}, the input {_listed(used)}"
        mistakes.add(f"{place}.{SWAPS}", f"do not fit the input: {both}")
        return []
    told = rest.get("metadata", {})
    if not isinstance(told, Mapping) or GROUP in told:
        mistakes.add(f"{place}.metadata", "must be a mapping without `group`, which the swaps fill in")
        return []
    identifier = rest.get("id", place)
    return [
        {
            **{key: _filled(value, words) for key, value in rest.items()},
            "id": f"{identifier}/{group}",
            "cluster": str(rest.get("cluster") or identifier),
            "metadata": {**told, GROUP: group},
        }
        for group, words in swaps.items()
    ]


def _are_swaps(swaps: Any) -> bool:
    if not isinstance(swaps, Mapping) or len(swaps) < 2:  # noqa: PLR2004 -- a swap takes two
        return False
    every = list(swaps.values())
    return all(_are_words(one) for one in every) and all(one.keys() == every[0].keys() for one in every)


def _are_words(words: Any) -> bool:
    return isinstance(words, Mapping) and len(words) > 0 and all(isinstance(w, str) for w in words.values())


def _names(value: Any) -> set[str]:
    if isinstance(value, str):
        return set(_PLACE.findall(value))
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return {name for part in parts for name in _names(part)}


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _PLACE.sub(lambda found: words.get(found[1], found[0]), value)
    if isinstance(value, Mapping):
        return {key: _filled(part, words) for key, part in value.items()}
    return [_filled(part, words) for part in value] if isinstance(value, list | tuple) else value


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
