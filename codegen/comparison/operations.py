"""Differences between two documents outside their schemas: paths, methods, parameters, bodies, answers, security."""

import re
from collections.abc import Iterator
from typing import Any

from app.contract import METHODS
from codegen.comparison import answers
from codegen.comparison.documents import Place, at, followed, is_text
from codegen.comparison.findings import Class, Difference, Findings, Use
from codegen.comparison.judge import means, takes_header
from codegen.comparison.schemas import SchemaComparison, compare_texts, same, told
from codegen.comparison.security import compare_security

# Of an operation: what has a comparison of its own, or is compared elsewhere.
COMPARED = {"operationId", "tags", "parameters", "requestBody", "responses", "security", "servers"}
PROSE = ("openapi", "info", "servers", "tags")


class OperationComparison:
    """Compares all operations of the two documents in a workspace."""

    def __init__(self, workspace: dict, findings: Findings) -> None:
        self._workspace = workspace
        self._findings = findings
        self._operation = ""

    def compare(self) -> None:
        """Note every difference."""
        self._prose()
        before, after = operations(self._workspace, "old"), operations(self._workspace, "new")
        for key in [*before, *(key for key in after if key not in before)]:
            self._operation = f"{key[0].upper()} {(after.get(key) or before[key])[1]}"
            if key not in after:
                text = "the operation is gone; its handler stays in place, and nothing reaches it"
                self._note(before[key][0], text, before[key][0], Class.WORK)
            elif key not in before:
                self._note(after[key][0], "the operation is new", after[key][0], Class.WORK)
            else:
                self._same_operation(before[key], after[key])

    def _prose(self) -> None:
        compare_texts(self._workspace, self._findings, ("old",), ("new",))
        for name in PROSE:
            before, after = (at(self._workspace, (side, name)) for side in ("old", "new"))
            if not same(before, after):
                place = ("new" if after is not None else "old", name)
                self._note(place, f"{name} differs", ("old", name), Class.TEXT)
        for name in ("webhooks", "jsonSchemaDialect"):
            before, after = (at(self._workspace, (side, name)) for side in ("old", "new"))
            if not same(before, after):
                text = f"{name} differs, which this server does not read"
                place = ("new" if after is not None else "old", name)
                self._note(place, text, ("old", name), Class.WORK)

    def _same_operation(self, before: tuple[Place, str], after: tuple[Place, str]) -> None:
        (old, old_path), (new, new_path) = before, after
        self._findings.pair(old, new)
        if old_path != new_path:
            self._note(new, f"the path parameters of {old_path} have other names", old, Class.WORK)
        compare_texts(self._workspace, self._findings, old, new, self._operation)
        self._names(old, new)
        self._parameters(old, new)
        self._request_body(old, new)
        self._responses((*old, "responses"), (*new, "responses"))
        compare_security(self._workspace, self._findings, old, new, self._operation)
        self._servers(old, new)
        self._others(old, new, COMPARED)

    def _names(self, old: Place, new: Place) -> None:
        before, after = (at(self._workspace, (*place, "operationId")) for place in (old, new))
        self._findings.pair((*old, "operationId"), (*new, "operationId"))
        if before != after:
            text = f"the operation is renamed to {after} (was {before})"
            self._note((*new, "operationId"), text, (*old, "operationId"), Class.WORK)
        left, right = (at(self._workspace, (*place, "tags"), []) for place in (old, new))
        if left[:1] != right[:1]:
            text = f"the first tag, which names the handler's module, becomes {told(right[:1])} (was {told(left[:1])})"
            self._note((*new, "tags"), text, (*old, "tags"), Class.WORK)
        elif left != right:
            self._note((*new, "tags"), "tags differ", (*old, "tags"), Class.TEXT)

    def _servers(self, old: Place, new: Place) -> None:
        """Note that an operation's address is another, of its own or its path's: calls may then go elsewhere."""
        before, after = (self._servers_of(place) for place in (old, new))
        left, right = (at(self._workspace, place) if place else None for place in (before, after))
        if not same(left, right):
            place = after or before or new
            self._note(place, "servers of its own differ", before or (*old, "servers"), Class.WORK)

    def _servers_of(self, operation: Place) -> Place | None:
        places = ((*operation, "servers"), (*operation[:-1], "servers"))
        return next((place for place in places if at(self._workspace, place) is not None), None)

    def _others(self, old: Place, new: Place, compared: set[str]) -> None:
        """Note that other members of an object differ, with whose details this server has nothing to do."""
        before, after = (at(self._workspace, place, {}) for place in (old, new))
        for name in sorted((before.keys() | after.keys()) - compared):
            if not is_text(name) and not same(before.get(name), after.get(name)):
                place = (*new, name) if name in after else (*old, name)
                self._note(place, f"{name} differs", (*old, name), Class.WORK)

    # Our server reads `Accept-Language` and checks no parameter: none can make it refuse a request.

    def _parameters(self, old: Place, new: Place) -> None:
        before, after = (parameters(self._workspace, place) for place in (old, new))
        for key in [*before, *(key for key in after if key not in before)]:
            name = f"{key[0]} parameter {key[1]}"
            if key not in after:
                self._note(before[key], f"the {name} is gone", before[key], Class.WIDEN)
            elif key not in before:
                self._note(after[key], f"the {name} is new", (*old, "parameters"), Class.WORK)
            else:
                self._same_parameter(name, before[key], after[key])

    def _same_parameter(self, name: str, raw_old: Place, raw_new: Place) -> None:
        old, new = (followed(self._workspace, place) for place in (raw_old, raw_new))
        self._findings.pair(raw_old, raw_new)
        self._findings.pair(old, new)
        compare_texts(self._workspace, self._findings, old, new, self._operation)
        before, after = (at(self._workspace, place) for place in (old, new))
        for keyword in sorted((before.keys() | after.keys()) - {"name", "in", "schema"}):
            left, right = before.get(keyword, False), after.get(keyword, False)
            if not is_text(keyword) and not same(left, right):
                text = f"{keyword} of the {name} becomes {told(right)} (was {told(left)})"
                place = (*new, keyword) if keyword in after else (*old, keyword)
                self._note(place, text, (*old, keyword), Class.WIDEN if keyword == "required" else Class.WORK)
        self._schemas("parameter", old, new)

    def _request_body(self, raw_old: Place, raw_new: Place) -> None:
        raw_old, raw_new = (*raw_old, "requestBody"), (*raw_new, "requestBody")
        before, after = (at(self._workspace, followed(self._workspace, place)) for place in (raw_old, raw_new))
        old, new = (followed(self._workspace, place) for place in (raw_old, raw_new))
        self._findings.pair(raw_old, raw_new)
        needed = bool(before and before.get("required", False))
        if before is None or after is None:
            if before is not after:
                text = "a request body is new" if before is None else "the request body is gone"
                place, verdict = (new, Class.WORK) if before is None else (old, Class.BREAKS if needed else Class.WIDEN)
                self._note(place, text, old, verdict)
            return
        compare_texts(self._workspace, self._findings, old, new, self._operation)
        required = bool(after.get("required", False))
        self._findings.pair((*old, "required"), (*new, "required"))
        if needed != required:
            place = (*new, "required") if "required" in after else (*old, "required")
            text = "the request body is now required" if required else "the request body may now be left out"
            self._note(place, text, (*old, "required"), Class.BREAKS if needed else Class.WIDEN)
        self._contents("request", (*old, "content"), (*new, "content"), "")

    def _responses(self, old: Place, new: Place) -> None:
        before, after = (at(self._workspace, place, {}) for place in (old, new))
        for status in [*before, *(status for status in after if status not in before)]:
            if status not in after:
                self._gone_answer(status, (*old, status), after)
            elif status not in before:
                self._note((*new, status), f"the answer {status} is new", (*old, status), Class.WORK)
            else:
                self._same_answer(status, (*old, status), (*new, status))
        for status in sorted({answer.status for answer in answers.samples()}):
            left, right = documented(before, status), documented(after, status)
            if left and right and left != right:  # what we send as 401 may be told by `default` from now on
                self._same_answer(status, (*old, left), (*new, right))

    def _gone_answer(self, status: str, old: Place, after: dict) -> None:
        sent = {answer.status for answer in answers.samples() if means(status, answer.status)}
        undocumented = [one for one in sent if not documented(after, one)]
        verdict = Class.BREAKS if undocumented or not sent else Class.WIDEN
        self._note(old, f"the answer {status} is gone", old, verdict)

    def _same_answer(self, status: str, raw_old: Place, raw_new: Place) -> None:
        old, new = (followed(self._workspace, place) for place in (raw_old, raw_new))
        self._findings.pair(raw_old, raw_new)
        self._findings.pair(old, new)
        compare_texts(self._workspace, self._findings, old, new, self._operation)
        self._contents("answer", (*old, "content"), (*new, "content"), status)
        self._headers((*old, "headers"), (*new, "headers"), status)
        self._others(old, new, {"content", "headers"})

    def _headers(self, old: Place, new: Place, status: str) -> None:
        before, after = ({name.lower(): name for name in at(self._workspace, place, {})} for place in (old, new))
        for lower, name in after.items():
            left = followed(self._workspace, (*old, before.get(lower, name)))
            self._header(lower, name, lower not in before, left, followed(self._workspace, (*new, name)), status)
        for lower in (lower for lower in before if lower not in after):
            self._note((*old, before[lower]), f"the header {before[lower]} is gone", (*old, before[lower]), Class.WIDEN)

    def _header(self, lower: str, name: str, is_new: bool, old: Place, new: Place, status: str) -> None:
        was, now = (at(self._workspace, (*place, "required"), False) for place in (old, new))
        sent = answers.headers(status).get(lower)
        took, takes = (takes_header(self._workspace, (*place, "schema"), sent) for place in (old, new))
        if took and not takes:
            self._note(new, f"the header {name} does not take what we send", old, Class.BREAKS)
        elif now and not was:
            verdict = Class.WIDEN if lower in answers.headers(status) else Class.BREAKS
            self._note(new, f"the header {name} is now required", old, verdict)
        elif is_new:
            self._note(new, f"the header {name} is new", old, Class.WIDEN)
        elif was and not now:
            self._note(new, f"the header {name} is no longer required", old, Class.WIDEN)
        if not is_new:
            compare_texts(self._workspace, self._findings, old, new, self._operation)
            self._others(old, new, {"required"})

    def _contents(self, side: str, old: Place, new: Place, status: str) -> None:
        before, after = (
            {media_type.partition(";")[0].strip().lower(): media_type for media_type in at(self._workspace, place, {})}
            for place in (old, new)
        )
        for name in [*before, *(name for name in after if name not in before)]:
            left, right = (*old, before.get(name, name)), (*new, after.get(name, name))
            self._findings.pair(left, right)
            if name not in after:
                verdict = Class.BREAKS if side == "answer" else Class.WIDEN
                self._note(left, f"the media type {name} of the {side} is gone", left, verdict)
            elif name not in before:
                verdict = Class.WIDEN if side == "answer" else Class.BREAKS
                self._note(right, f"the media type {name} of the {side} is new", left, verdict)
            else:
                compare_texts(self._workspace, self._findings, left, right, self._operation)
                self._others(left, right, {"schema"})
                self._schemas(side, left, right, status, name)

    def _schemas(self, side: str, old: Place, new: Place, status: str = "", media_type: str = "") -> None:
        old, new = (*old, "schema"), (*new, "schema")
        for place in (old, new):  # none is the schema that takes everything
            if at(self._workspace, place) is None:
                at(self._workspace, place[:-1])["schema"] = {}
        use = Use(self._operation, side, old, new, status, media_type)
        SchemaComparison(self._workspace, self._findings, use).compare(old, new)

    def _note(self, place: Place, change: str, old: Place, verdict: Class) -> None:
        self._findings.add(Difference(place, change, old, verdict), self._operation)


def operations(workspace: dict, side: str) -> dict[tuple[str, str], tuple[Place, str]]:
    """Return where each operation stands and its path; by method, and path without its parameters' names."""
    return {
        (method, re.sub(r"\{[^}]*\}", "{}", path)): ((*place, method), path)
        for path in at(workspace, (side, "paths"), {})
        for place in [followed(workspace, (side, "paths", path))]
        for method in METHODS
        if method in at(workspace, place)
    }


def documented(responses: dict, status: str) -> str | None:
    """Return the key of `responses` that stands for a status: the status, its range, or `default`."""
    return next((key for key in (status, f"{status[0]}XX", "default") if key in responses), None)


def parameters(workspace: dict, operation: Place) -> dict[tuple[str, str], Place]:
    """Return where each parameter of an operation is mentioned, its path's included; by place and name."""
    return {
        (found["in"], found["name"].lower() if found["in"] == "header" else found["name"]): place
        for place in [*_mentions(workspace, operation[:-1]), *_mentions(workspace, operation)]
        for found in [at(workspace, followed(workspace, place))]
    }


def _mentions(workspace: dict, owner: Place) -> Iterator[Any]:
    for index, _ in enumerate(at(workspace, (*owner, "parameters"), [])):
        yield (*owner, "parameters", index)
