"""Whether one schema provably takes all that another does, also where schemas contain themselves.

jsonschema-rs cannot compare schemas that contain themselves. So each is unrolled until a part refers to one that it is
within: a loop. There the part is left open, as if it took everything. If the wide schema has no other loops than the
narrow one, at the same places, and takes all that the narrow one does with both left open, it does so to any depth.
"""

from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs

from codegen.comparison.documents import Place, at, followed

MOST_PARTS = 10_000


def rooted(workspace: dict, place: Place) -> dict:
    """Return the schema at a place as a document of its own, in which references still lead somewhere."""
    return {"allOf": [at(workspace, place)], **workspace}


def canonical(workspace: dict, place: Place) -> jsonschema_rs.CanonicalSchema:
    """Return the normal form of the schema at a place."""
    draft = jsonschema_rs.Draft202012
    return jsonschema_rs.canonicalize(rooted(workspace, place), draft=draft, validate_formats=True, offline=True)


def covers(wide: jsonschema_rs.CanonicalSchema, narrow: jsonschema_rs.CanonicalSchema) -> bool:
    """Tell whether the first provably admits all that the second does."""
    return wide.covers(narrow) == jsonschema_rs.canonical.Containment.YES


@dataclass
class Unrolled:
    """A schema without references.

    Attributes:
        schema: the schema; its loops take everything.
        loops: where each is, and where the part stands that it refers to.
    """

    schema: Any = None
    loops: set[tuple[Place, Place]] = field(default_factory=set)
    parts: int = 0


class _Unprovable(Exception):
    pass


def unrolled(workspace: dict, place: Place) -> Unrolled | None:
    """Return the schema at a place without references; None if that says nothing, or is too large."""
    found = Unrolled()
    try:
        found.schema = _unroll(workspace, place, (), {}, found)
    except _Unprovable:
        return None
    return found


def _unroll(workspace: dict, place: Place, path: Place, above: dict[Place, Place], found: Unrolled) -> Any:
    found.parts += 1
    if found.parts > MOST_PARTS:
        raise _Unprovable
    node = at(workspace, place)
    if isinstance(node, dict) and isinstance(node.get("$ref"), str):
        end = followed(workspace, place)
        if end not in above:
            return _unroll(workspace, end, path, {**above, end: path}, found)
        if not _holds_for_all(path):
            raise _Unprovable
        found.loops.add((path, above[end]))
        return True
    if isinstance(node, dict):
        if "prefixItems" in node:  # then `items` speaks of the rest alone
            raise _Unprovable
        return {name: _unroll(workspace, (*place, name), (*path, name), above, found) for name in node}
    if isinstance(node, list):
        return [_unroll(workspace, (*place, index), (*path, index), above, found) for index in range(len(node))]
    return node


def _holds_for_all(path: Place) -> bool:
    """Tell whether what stands at a path of a schema is asked of every value there, whatever else the schema says."""
    match path:
        case ("properties" | "allOf", _, *rest) | ("items", *rest):
            return _holds_for_all(tuple(rest))
    return not path


def covers_unrolled(wide: Unrolled, narrow: Unrolled) -> bool:
    """Tell whether the first provably admits all that the second does."""
    if not wide.loops <= narrow.loops:
        return False
    parts = {(), *(target for _, target in wide.loops)}
    return all(covers(_canonical_part(wide, part), _canonical_part(narrow, part)) for part in parts)


def _canonical_part(tree: Unrolled, place: Place) -> jsonschema_rs.CanonicalSchema:
    return canonical({"schema": at(tree.schema, place)}, ("schema",))
