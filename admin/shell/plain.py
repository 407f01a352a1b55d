"""A command's result as JSON, and text that moves no cursor: all that a script needs, and so it loads no more."""

import json
from typing import Any


def to_json(result: Any) -> str:
    """One document, without a line's end. What a terminal can't show is escaped."""
    return json.dumps(result, ensure_ascii=True, indent=2)


def clean(text: str) -> str:
    """Without what would move a cursor; lines and indentation stay."""
    return "".join(
        character if character.isprintable() or character == "\n" else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )
