"""Formats as the server reads them."""

from functools import cache
from typing import Any

import jsonschema_rs

from app.contract import FORMATS


@cache
def is_format(name: Any) -> bool:
    """Tell whether values are checked for a format; JSON Schema lets validators ignore those that they do not know."""
    if not isinstance(name, str):
        return False
    try:
        jsonschema_rs.Draft202012Validator({"format": name}, validate_formats=True, ignore_unknown_formats=False)
    except jsonschema_rs.ValidationError:
        return False
    return True


def as_served(node: Any) -> Any:
    """Return a value with the formats that the server reads in place of those that it states; unknown ones are gone."""
    if isinstance(node, dict):
        changed = {name: as_served(value) for name, value in node.items()}
        if isinstance(stated := node.get("format"), str):
            changed["format"] = FORMATS.get(stated, stated)
            if not is_format(changed["format"]):
                del changed["format"]
        return changed
    return [as_served(value) for value in node] if isinstance(node, list) else node
