"""Differences in who may call: each alternative is what it asks for, whatever the schemes are called."""

import json

from codegen.comparison.documents import Place, at, followed, is_text
from codegen.comparison.findings import Class, Difference, Findings

Alternatives = dict[frozenset[str], Place]


def compare_security(workspace: dict, findings: Findings, old: Place, new: Place, operation: str) -> None:
    """Note what differs in the alternatives of one operation.

    The server built for the old document takes a request that brings what one of its alternatives asks for.
    """
    before, after = alternatives(workspace, old), alternatives(workspace, new)
    for wanted, place in after.items():
        if wanted not in before:
            served = any(known <= wanted for known in before)
            text = f"requests may come with {named(wanted)}" + (", which goes beyond what we check" if served else "")
            verdict = Class.WORK if served else Class.BREAKS
            findings.add(Difference(place, text, ("old", "security"), verdict), operation)
    for wanted, place in before.items():
        if wanted not in after:
            text = f"no request comes with {named(wanted)} alone"
            findings.add(Difference(place, text, place, Class.WIDEN), operation)


def alternatives(workspace: dict, operation: Place) -> Alternatives:
    """Return what each alternative asks for, and where it is said; asking for nothing is one, too."""
    own = (*operation, "security")
    place = own if at(workspace, own) is not None else (operation[0], "security")
    found: Alternatives = {}
    for index, requirement in enumerate(at(workspace, place, [])):
        wanted = frozenset(credential(workspace, operation[0], name, scopes) for name, scopes in requirement.items())
        found.setdefault(wanted, (*place, index))
    return found or {frozenset(): place}


def credential(workspace: dict, side: str | int, name: str, scopes: list) -> str:
    """Return what a scheme asks for, without its name, descriptions and the hint how bearer tokens look."""
    place = followed(workspace, (side, "components", "securitySchemes", name))
    scheme = at(workspace, place, {"type": name})
    facts = {key: value for key, value in scheme.items() if not is_text(key) and key != "bearerFormat"}
    facts["scheme"] = str(facts.get("scheme", "")).lower()
    return json.dumps(facts | {"scopes": sorted(scopes)}, sort_keys=True)


def named(wanted: frozenset[str]) -> str:
    """Return what a person would call it, such as `http bearer`."""
    facts = [json.loads(text) for text in sorted(wanted)]
    names = [" ".join(str(fact[key]) for key in ("type", "scheme", "in", "name") if fact.get(key)) for fact in facts]
    return " and ".join(names) or "no credentials"
