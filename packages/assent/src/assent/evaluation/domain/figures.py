"""Figures as they are published."""


def figure(value: float | None) -> str | None:
    """Write a figure as decimal text of nine digits: leaves hold no floats."""
    return None if value is None else format(value, ".9g")
