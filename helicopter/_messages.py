"""How messages show what was given."""

from __future__ import annotations

__all__ = ["shown"]

#: Characters of a value that a message shows.
LONGEST = 200


def shown(value: object) -> str:
    """Return how a message shows what was given, however large it is."""
    try:
        text = repr(value)
    except Exception:  # an integer of thousands of digits, or a class that cannot show itself
        return f"a value of type {type(value).__name__} that cannot be shown"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
