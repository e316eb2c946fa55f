"""Schemas that say only what the one within them says, or that it may be null instead."""

from typing import Any

from codegen.comparison.documents import Place, at, is_text


def within_all_of(workspace: dict, place: Place) -> Place:
    """Return the place of the schema that a single `allOf` (with texts beside it, at most) stands for."""
    while len(_only(at(workspace, place), "allOf")) == 1:
        place = (*place, "allOf", 0)
    return place


def within_nullable(workspace: dict, place: Place) -> Place | None:
    """Return the place of the schema that may be null instead: the other branch of a `oneOf` or `anyOf` of two."""
    for keyword in ("oneOf", "anyOf"):
        branches = _only(at(workspace, place), keyword)
        others = [index for index, branch in enumerate(branches) if branch != {"type": "null"}]
        if len(branches) == 2 and len(others) == 1:
            return (*place, keyword, others[0])
    return None


def _only(schema: Any, keyword: str) -> list:
    """Return the branches of a schema that has no other keyword, but for texts; none for any other schema."""
    if not isinstance(schema, dict) or any(name != keyword and not is_text(name) for name in schema):
        return []
    return list(schema.get(keyword, []))
