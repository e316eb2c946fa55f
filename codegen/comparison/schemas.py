"""Differences between two schemas, keyword by keyword, through references. What they mean is for `judge` to say."""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

from codegen.comparison.documents import REMOVED, Place, at, followed, is_text, place_of
from codegen.comparison.findings import Class, Difference, Findings, Kind, Use
from codegen.comparison.formats import is_format
from codegen.comparison.wrappers import within_all_of, within_nullable

MAPS = {"properties": "field", "patternProperties": "pattern of fields", "dependentSchemas": "dependent schema"}
SCHEMAS = {
    "items", "additionalProperties", "not", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties",
    "if", "then", "else",
}  # fmt: skip
LISTS = {"allOf", "anyOf", "oneOf", "prefixItems"}
REFERENCE = re.compile(r'("\$ref": ")#/(?:old|new)/')  # as references are in the workspace, not in the file
IGNORED = {"$defs"}  # reached by reference, or not at all
PARTIAL = {"if", "then", "else", "minContains", "maxContains"}
# What they hold is not what every value must be: a field that is required there need not be one that we send always.
CONDITIONAL = {"if", "then", "else", "not", "contains", "dependentSchemas"}
# What a value can violate. All else says something to programs, or nothing that we know.
CHECKED = MAPS.keys() | SCHEMAS | LISTS | PARTIAL | {
    "type", "enum", "const", "format", "pattern", "minLength", "maxLength", "multipleOf", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties",
    "required", "dependentRequired", "$dynamicRef", "$dynamicAnchor",
}  # fmt: skip


class SchemaComparison:
    """Compares the schemas of one use, from the root down."""

    def __init__(self, workspace: dict, findings: Findings, use: Use) -> None:
        self._workspace = workspace
        self._findings = findings
        self._use = use
        self._seen: set[tuple[Place, Place]] = set()
        self._conditional = False

    def compare(self, old: Place, new: Place, within: frozenset = frozenset()) -> None:
        """Note every difference between the schemas at two places; `within` are the pairs that it is part of."""
        if (old, new) in self._seen:
            return
        self._seen.add((old, new))
        self._findings.pair(old, new)
        if self._unwrapped(old, new, within):
            return
        if is_reference(at(self._workspace, old)) and is_reference(at(self._workspace, new)):
            self._texts(old, new)  # what stands beside the references
            self._findings.pair((*old, "$ref"), (*new, "$ref"))
        ends = (self._findings.origin(followed(self._workspace, old)), followed(self._workspace, new))
        if ends in within:  # a schema that contains itself
            return
        old, new = self._meet(old, new)
        self._findings.pair(old, new)
        if self._unwrapped(old, new, within | {ends}):
            return
        before, after = at(self._workspace, old), at(self._workspace, new)
        if not isinstance(before, dict) or not isinstance(after, dict):
            if not same(before, after):
                self._note(new, f"the schema becomes {told(after)} (was {told(before)})", old, (old, after))
            return
        self._texts(old, new)
        for name in [*before, *(name for name in after if name not in before)]:
            if not is_text(name) and name not in IGNORED and name != "$ref":
                outside, self._conditional = self._conditional, self._conditional or name in CONDITIONAL
                self._keyword(name, (*old, name), (*new, name), within | {ends})
                self._conditional = outside

    def _unwrapped(self, old: Place, new: Place, within: frozenset) -> bool:
        """Compare the schemas within, if one of the two is a wrapper that the other is not; tell whether that is so."""
        before, after = (within_all_of(self._workspace, place) for place in (old, new))
        left, right = (within_nullable(self._workspace, place) for place in (before, after))
        if right and not left:
            node = {right[-2]: [at(self._workspace, before), {"type": "null"}]}
            self._note(after, "null is now allowed", before, (before, node))
            after = right
        elif left and not right:
            self._note(after, "null is no longer allowed", before, (before, at(self._workspace, left)))
            before = left
        if (before, after) == (old, new):
            return False
        self._texts(old, new)
        self.compare(before, after, within)
        return True

    def _meet(self, old: Place, new: Place) -> tuple[Place, Place]:
        """Follow references. Where they differ, the old one is replaced in the workspace by what it refers to.

        So a change below it can be tried in this one place, and not wherever the old component is used.
        """
        reference, other = (at(self._workspace, place) for place in (old, new))
        names = [place_of(node["$ref"]) for node in (reference, other) if is_reference(node)]
        if len(names) == 2 and names[0][1:] == names[1][1:]:
            return self._meet(*names)
        if is_reference(reference):
            self._findings.moved[old] = followed(self._workspace, old)
            target = at(self._workspace, self._findings.moved[old])
            beside = {name: reference.pop(name) for name in tuple(reference)}
            del beside["$ref"]
            reference.update(copy.deepcopy(target) if isinstance(target, dict) else {"allOf": [target]})
            reference.update(beside)
        return old, followed(self._workspace, new)

    def _texts(self, old: Place, new: Place) -> None:
        compare_texts(self._workspace, self._findings, old, new, self._use.operation)

    def _keyword(self, name: str, old: Place, new: Place, within: frozenset) -> None:
        before, after = at(self._workspace, old, REMOVED), at(self._workspace, new, REMOVED)
        if name in MAPS:
            self._map(MAPS[name], old, new, within)
        elif name in SCHEMAS and isinstance(before, dict) and isinstance(after, dict):
            self.compare(old, new, within)
        elif name in LISTS and REMOVED not in (before, after):
            self._branches(name, old, new, within)
        elif name == "required":
            self._required(old, new)
        elif name == "enum" and REMOVED not in (before, after):
            self._enum(before, after, old, new)
        elif not same(before, after):
            self._value(name, before, after, old, new)
        else:
            self._findings.pair(old, new)

    def _value(self, name: str, before: Any, after: Any, old: Place, new: Place) -> None:
        kind = kind_of(name, before, after)
        if after is REMOVED:
            self._note(old, f"{name} {told(before)} is gone", old, (old, REMOVED), kind)
        elif before is REMOVED:
            self._note(new, f"{name} {told(after)} is new", old, (old, after), kind)
        else:
            self._note(new, f"{name} becomes {told(after)} (was {told(before)})", old, (old, after), kind)

    def _map(self, noun: str, old: Place, new: Place, within: frozenset) -> None:
        before, after = (at(self._workspace, place, {}) for place in (old, new))
        kind = Kind.NEW_FIELD if noun == "field" else Kind.OTHER
        for name in before:
            if name in after:
                self.compare((*old, name), (*new, name), within)
            else:
                self._note((*old, name), f"the {noun} {name} is gone", (*old, name), ((*old, name), REMOVED))
        for name in (name for name in after if name not in before):
            edit = ((*old, name), after[name])
            self._note((*new, name), f"the {noun} {name} is new", (*old, name), edit, kind)

    def _required(self, old: Place, new: Place) -> None:
        before, after = (at(self._workspace, place, []) for place in (old, new))
        self._findings.pair(old, new)
        for name in sorted(set(after) - set(before)):
            self._note(new, f"the field {name} is now required", old, (old, [*before, name]), Kind.REQUIRED)
        for name in sorted(set(before) - set(after)):
            rest = [other for other in before if other != name]
            self._note(new if after else old, f"the field {name} is no longer required", old, (old, rest))

    def _enum(self, before: list, after: list, old: Place, new: Place) -> None:
        self._findings.pair(old, new)
        for value in without(after, before):
            self._note(new, f"the value {told(value)} is now allowed", old, (old, [*before, value]))
        for value in without(before, after):
            rest = without(before, [value])
            self._note(new, f"the value {told(value)} is no longer allowed", old, (old, rest))

    def _branches(self, name: str, old: Place, new: Place, within: frozenset) -> None:
        before, after = (at(self._workspace, place, []) for place in (old, new))
        pairs = list(paired(before, after, in_order=name == "prefixItems"))
        for index, other in pairs:
            self.compare((*old, index), (*new, other), within)
        matched_before, matched_after = {index for index, _ in pairs}, {other for _, other in pairs}
        for index in set(range(len(before))) - matched_before:
            rest = [branch for position, branch in enumerate(before) if position != index]
            change = f"{name} loses the branch {branch_name(before[index])}"
            self._note((*old, index), change, (*old, index), (old, rest or REMOVED))
        for other in set(range(len(after))) - matched_after:
            change = f"{name} gains the branch {branch_name(after[other])}"
            self._note((*new, other), change, old, (old, [*before, after[other]]))

    def _note(self, place: Place, change: str, old: Place, edit: tuple, kind: Kind = Kind.OTHER) -> None:
        origin = self._findings.origin
        if self._conditional and kind in (Kind.NEW_FIELD, Kind.REQUIRED):
            kind = Kind.OTHER
        difference = Difference(origin(place), change, origin(old), edits={self._use: [edit]}, kind=kind)
        self._findings.add(difference, self._use.operation)


def compare_texts(workspace: dict, findings: Findings, old: Place, new: Place, operation: str = "") -> None:
    """Note the differences of what people read, right at two places."""
    before, after = (at(workspace, place) for place in (old, new))
    if not isinstance(before, dict) or not isinstance(after, dict):
        return
    for name in [*before, *(name for name in after if name not in before)]:
        if is_text(name) and not same(before.get(name), after.get(name)):
            place = (*new, name) if name in after else (*old, name)
            place, origin = findings.origin(place), findings.origin((*old, name))
            findings.add(Difference(place, f"{name} differs", origin, Class.TEXT), operation)


def kind_of(keyword: str, before: Any, after: Any) -> Kind:
    """Return the kind of a keyword's difference; a format counts as unchecked if neither of the two is known."""
    if keyword not in CHECKED or (keyword == "format" and not is_format(before) and not is_format(after)):
        return Kind.UNCHECKED
    return Kind.PARTIAL if keyword in PARTIAL else Kind.OTHER


def is_reference(node: Any) -> bool:
    """Tell whether something is a reference."""
    return isinstance(node, dict) and "$ref" in node


def same(before: Any, after: Any) -> bool:
    """Compare as JSON does: 1 is not true; the order of the names counts nothing."""
    if before is REMOVED or after is REMOVED:
        return before is after
    return json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)


def without(values: list, others: list) -> list:
    """Return the values that are not among the others."""
    return [value for value in values if not any(same(value, other) for other in others)]


def told(value: Any, most: int = 60) -> str:
    """Return a value as short JSON."""
    text = REFERENCE.sub(r"\1#/", json.dumps(value, ensure_ascii=False))
    return text if len(text) <= most else f"{text[:most]}..."


def branch_name(branch: Any) -> str:
    """Return what a person would call a branch: the component, its title, or its text."""
    while isinstance(branch, dict) and len(branch.get("allOf", [])) == 1:
        [branch] = branch["allOf"]
    if is_reference(branch):
        return str(place_of(branch["$ref"])[-1])
    return str(branch["title"]) if isinstance(branch, dict) and "title" in branch else told(branch)


def paired(before: list, after: list, *, in_order: bool) -> Iterator[tuple[int, int]]:
    """Pair branches: first those of one name, then the others in their order."""
    left, right = list(range(len(before))), list(range(len(after)))
    if not in_order:
        names = [branch_name(branch) for branch in after]
        for index in tuple(left):
            name = branch_name(before[index])
            match = next((other for other in right if names[other] == name), None)
            if match is not None:
                left.remove(index)
                right.remove(match)
                yield index, match
    elif left:
        yield from zip(left, right, strict=False)
        return
    if len(left) == len(right):
        yield from zip(left, right, strict=True)
