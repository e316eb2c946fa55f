"""What the kit judges, which is data in YAML: requirements with a name, a flow, a sentence and where they come from."""

import enum
import functools
import pathlib
from dataclasses import dataclass

import yaml

DOCUMENTATION = "https://docs.mews.com/loyalty-partner/"
FILE = pathlib.Path(__file__).with_name("requirements.yaml")


class Flow(enum.StrEnum):
    """What Mews' getting-started page tells a partner to validate, in its order, and what belongs to all of it."""

    SEARCH = "search"
    ENROLL = "enroll"
    LIST = "list"
    LINK = "link"
    CHECKOUT = "checkout"
    EVERY = "every"
    CHAINED = "chained"
    GENERATED = "generated"

    @property
    def heading(self) -> str:
        """The flow's name, in Mews' words where it has one."""
        return _HEADINGS[self]


_HEADINGS = {
    Flow.SEARCH: "Member search",
    Flow.ENROLL: "Enroll",
    Flow.LIST: "List & refresh",
    Flow.LINK: "Link & unlink",
    Flow.CHECKOUT: "Checkout event handling, and what was declared absent",
    Flow.EVERY: "Every request",
    Flow.CHAINED: "The flows chained as staff chain them",
    Flow.GENERATED: "Generated requests (Schemathesis)",
}
# The flows that are a feature of a server, which it may declare absent.
FEATURES = (Flow.SEARCH, Flow.ENROLL, Flow.LIST, Flow.LINK, Flow.CHECKOUT)


@dataclass(frozen=True)
class Requirement:
    """One thing that a server is judged by.

    Attributes:
        name: unique, such as `enroll-repeat-returns-existing`.
        flow: the group that it stands in.
        says: the requirement in one sentence.
        published: the address where Mews publishes it; empty where it does not.
        reading: why it is our reading of a silent point; empty where it is published.
        spec: where the contract speaks of it: a pointer from its root, `#/...`, or from the flow's operation.
        in_spec: whether Mews' own file settles what its pages leave open.
    """

    name: str
    flow: Flow
    says: str
    published: str
    reading: str
    spec: str
    in_spec: bool

    def is_binding(self, *, strict: bool, own_spec: bool) -> bool:
        """Tell whether a miss is a failure, and not advice.

        Args:
            strict: our readings bind too.
            own_spec: the contract is a file that the partner gave, and not the vendored one, which is rebuilt.
        """
        return strict or bool(self.published) or (own_spec and self.in_spec)


@functools.cache
def load() -> dict[str, Requirement]:
    """Return all requirements by name, in the order of Mews' list."""
    flows = yaml.safe_load(FILE.read_text("utf-8"))
    return {name: _requirement(name, flow, entry) for flow, entries in flows.items() for name, entry in entries.items()}


def _requirement(name: str, flow: str, entry: dict) -> Requirement:
    published = entry.get("published", "")
    return Requirement(
        name=name,
        flow=Flow(flow),
        says=entry["says"],
        published=f"{DOCUMENTATION}{published}" if published else "",
        reading=entry.get("reading", ""),
        spec=entry["spec"],
        in_spec=entry.get("in_spec", False),
    )
