"""Single changes of the vendored contract, as Mews might make them, with what each means for this server."""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

from codegen.comparison import documents
from codegen.comparison.documents import REMOVED, at, place_of
from codegen.comparison.findings import Class
from codegen.schemas import CONTRACT

OLD = documents.load(CONTRACT)
BREAKS, WORK, WIDEN, TEXT = Class
STRING, CLOSED = {"type": "string"}, {"type": "object", "additionalProperties": False}
SHORT = {
    "S": "components/schemas",
    "R": "components/responses",
    "search": "paths/~1members~1search/post",
    "enroll": "paths/~1members/post",
    "list": "paths/~1memberships~1list/post",
    "link": "paths/~1memberships~1link/put",
    "JSON": "content/application~1json",
    "PROBLEM": "content/application~1problem+json",
}
FILTER, ITEMS = "S/memberFilter", "S/listMembershipsRequest/properties/providerMembershipIds"
LINKED, LANGUAGE = "S/linkMembershipRequest/properties/isLinked", "components/parameters/acceptLanguage"
MEMBERSHIP, ELSEWHERE = "S/membership", [{"url": "https://elsewhere.example"}]


def full(short: str) -> str:
    """A pointer from a short one: `search/summary` is `#/paths/~1members~1search/post/summary`."""
    return "#/" + "/".join(SHORT.get(step, step) for step in short.split("/"))


@dataclasses.dataclass(frozen=True)
class Mutation:
    """A change: what it does to a document, its class, and the pointer of a difference of that class."""

    name: str
    change: Callable[[dict], Any]
    verdict: Class
    pointer: str

    def applied(self) -> dict:
        document = copy.deepcopy(OLD)
        self.change(document)
        return document


def put(short: str, value: Any, *more: Any) -> Callable[[dict], Any]:
    """A change that puts values (or nothing, for REMOVED) at places: `put(place, value, place, value)`."""

    def change(document: dict) -> None:
        for place, new in zip((short, *more[::2]), (value, *more[1::2]), strict=True):
            *above, last = place_of(full(place))
            owner = at(document, tuple(above))
            if new is REMOVED:
                owner.pop(int(last) if isinstance(owner, list) else last)
            elif isinstance(owner, list) and int(last) == len(owner):
                owner.append(copy.deepcopy(new))
            else:
                owner[int(last) if isinstance(owner, list) else last] = copy.deepcopy(new)

    return change


def move(short: str, other: str) -> Callable[[dict], Any]:
    """A change that moves what stands at one place to another."""

    def change(document: dict) -> None:
        value = at(document, place_of(full(short)))
        put(short, REMOVED, other, value)(document)

    return change


def add(short: str, value: Any) -> Callable[[dict], Any]:
    """A change that appends to a list."""
    return lambda document: at(document, place_of(full(short))).append(value)


def both(*changes: Callable[[dict], Any]) -> Callable[[dict], Any]:
    return lambda document: [change(document) for change in changes]


def copied_operation(document: dict) -> None:
    operation = copy.deepcopy(document["paths"]["/members"]["post"])
    document["paths"]["/members/transfer"] = {"post": operation | {"operationId": "transferMember"}}


def renamed_component(document: dict) -> None:
    components = document["components"]["schemas"]
    components["person"] = components.pop("customer")
    components["enrollCustomerRequest"]["properties"]["customer"]["$ref"] = "#/components/schemas/person"


def api_key(document: dict) -> None:
    document["components"]["securitySchemes"]["key"] = {"type": "apiKey", "in": "header", "name": "X-Key"}


def m(name: str, verdict: Class, pointer: str, *values: Any, at: str = "") -> Mutation:
    """A mutation: its change is a function, or else the values that are put at the pointer and further places."""
    change = values[0] if callable(values[0]) else put(pointer, *values)
    return Mutation(name, change, verdict, full(at or pointer) if pointer else "")


REQUESTS = [
    m("new optional field in a closed filter", BREAKS, f"{FILTER}/properties/tier", STRING),
    m("new optional field in a closed request", BREAKS, "S/listMembershipsRequest/properties/page", STRING),
    m("new optional field in an open request", WIDEN, "S/enrollCustomerRequest/properties/remark", STRING),
    m("new required field in an open request", WIDEN, "S/enrollCustomerRequest/required",
      both(put("S/enrollCustomerRequest/properties/remark", STRING),
           add("S/enrollCustomerRequest/required", "remark"))),
    m("request field gone", WIDEN, f"{FILTER}/properties/phoneNumber", REMOVED),
    m("closed filter opened", BREAKS, f"{FILTER}/additionalProperties", REMOVED),
    m("closed filter takes texts", BREAKS, f"{FILTER}/additionalProperties", STRING),
    m("open request closed", WIDEN, "S/enrollCustomerRequest/additionalProperties", False),
    m("request field not required any more", BREAKS, "S/searchMembersRequest/required", ["memberFilter"]),
    m("request field required", WIDEN, "S/customer/required", add("S/customer/required", "firstName")),
    m("maxLength raised", BREAKS, f"{FILTER}/properties/city/maxLength", 300),
    m("maxLength lowered", WIDEN, f"{FILTER}/properties/city/maxLength", 100),
    m("maxLength gone", BREAKS, f"{FILTER}/properties/city/maxLength", REMOVED),
    m("minLength new", WIDEN, f"{FILTER}/properties/city/minLength", 1),
    m("maxItems raised", BREAKS, f"{ITEMS}/maxItems", 120),
    m("maxItems lowered", WIDEN, f"{ITEMS}/maxItems", 50),
    m("minItems 0", BREAKS, f"{ITEMS}/minItems", 0),
    m("uniqueItems new", WIDEN, f"{ITEMS}/uniqueItems", True),
    m("items of another type", BREAKS, "S/providerMembershipId/type", put(f"{ITEMS}/items", {"type": "integer"}),
      at=f"{ITEMS}/items/type"),
    m("request format gone", BREAKS, "S/mewsEnterpriseId/format", REMOVED),
    m("request format new", WIDEN, f"{FILTER}/properties/membershipNumber/format", "uuid"),
    m("request format changed", BREAKS, "S/customer/properties/birthday/format", "date-time"),
    m("format read alike", TEXT, f"{FILTER}/properties/email/format", "idn-email"),
    m("pattern new", WIDEN, f"{FILTER}/properties/countryCode/pattern", "^[A-Z]{2}$"),
    m("null allowed", BREAKS, f"{FILTER}/properties/phoneNumber/type", ["string", "null"]),
    m("type narrowed to the same", TEXT, f"{FILTER}/properties/phoneNumber/type", ["string"]),
    m("boolean becomes enum", BREAKS, f"{LINKED}/type", put(LINKED, {"type": "string", "enum": ["link", "unlink"]})),
    m("const new", WIDEN, f"{LINKED}/const", True),
    m("enum new", WIDEN, f"{LINKED}/enum", [True]),
    m("minProperties new", WIDEN, f"{FILTER}/minProperties", 2),
    m("anyOf gains a branch", BREAKS, f"{FILTER}/anyOf/5", {"required": ["phoneNumber"]}),
    m("anyOf loses a branch", WIDEN, f"{FILTER}/anyOf/4", REMOVED),
    m("anyOf gone", BREAKS, f"{FILTER}/anyOf", REMOVED),
    m("anyOf branch narrowed", WIDEN, f"{FILTER}/anyOf/0/required", ["email", "lastName"]),
    m("anyOf branch loosened", BREAKS, f"{FILTER}/anyOf/4/required", ["lastName", "city"]),
    m("allOf new", WIDEN, "S/customer/allOf", [{"required": ["email"]}]),
    m("oneOf new", WIDEN, "S/customer/oneOf", [{"required": ["email"]}, {"required": ["phoneNumber"]}]),
    m("not new", WIDEN, "S/customer/not", {"required": ["birthday"]}),
    m("dependentRequired new", WIDEN, "S/customer/dependentRequired", {"email": ["phoneNumber"]}),
    m("request body may be left out", BREAKS, "search/requestBody/required", False),
    m("request body gone", BREAKS, "list/requestBody", REMOVED),
    m("request media type new", BREAKS, "search/requestBody/content/text~1csv", {"schema": STRING}),
    m("request media type replaced", BREAKS, "search/requestBody/content/application~1vnd.mews+json",
      move("search/requestBody/JSON", "search/requestBody/content/application~1vnd.mews+json")),
    m("default new", WORK, f"{LINKED}/default", True),
]  # fmt: skip
CALLS = [
    m("query parameter new", WORK, "search/parameters/1", {"name": "limit", "in": "query", "schema": STRING}),
    m("required header parameter new", WORK, "list/parameters/1",
      {"name": "X-Chain", "in": "header", "required": True, "schema": STRING}),
    m("parameter gone", WIDEN, "search/parameters/0", REMOVED),
    m("parameter required", WIDEN, f"{LANGUAGE}/required", True),
    m("parameter narrowed", WIDEN, f"{LANGUAGE}/schema/enum", ["en", "de"]),
    m("parameter of another type", WORK, f"{LANGUAGE}/schema/type", "integer"),
    m("calls without a token", BREAKS, "security/1", {}),
    m("an operation without security", BREAKS, "search/security", []),
    m("another kind of token", BREAKS, "security/1", both(api_key, put("security/1", {"key": []}))),
    m("a second credential beside the token", WORK, "security/0", both(api_key, put("security/0/key", []))),
    m("security scheme of another type", BREAKS, "security/0",
      put("components/securitySchemes/bearerAuth/scheme", "basic")),
    m("operation new", WORK, "paths/~1members~1transfer/post", copied_operation),
    m("operation gone", WORK, "paths/~1memberships~1link/put", put("paths/~1memberships~1link", REMOVED)),
    m("operation renamed", WORK, "enroll/operationId", "createMember"),
    m("operation under another method", WORK, "paths/~1memberships~1link/post",
      move("link", "paths/~1memberships~1link/post")),
    m("operation under another path", WORK, "paths/~1guests", move("paths/~1members", "paths/~1guests"),
      at="paths/~1guests/post"),
    m("address of an operation", WORK, "search/servers", ELSEWHERE),
    m("address of a path", WORK, "paths/~1members/servers", ELSEWHERE),
    m("another dialect of JSON Schema", WORK, "jsonSchemaDialect", "http://json-schema.org/draft-07/schema#"),
    m("handler in another module", WORK, "link/tags", ["Links"]),
]  # fmt: skip
ANSWERS = [
    m("answer field required that we always send", WIDEN, f"{MEMBERSHIP}/required",
      add(f"{MEMBERSHIP}/required", "points")),
    m("answer field required that we send at times", BREAKS, f"{MEMBERSHIP}/required",
      add(f"{MEMBERSHIP}/required", "tier")),
    m("new required answer field", BREAKS, f"{MEMBERSHIP}/required",
      both(put(f"{MEMBERSHIP}/properties/level", STRING), add(f"{MEMBERSHIP}/required", "level"))),
    m("new optional answer field", WIDEN, f"{MEMBERSHIP}/properties/level", STRING),
    m("new optional field of requests and answers", WIDEN, "S/address/properties/line3", STRING),
    m("closed answer loses a field", BREAKS, f"{MEMBERSHIP}/properties/deeplinkUrl", REMOVED),
    m("closed answer opened", WIDEN, f"{MEMBERSHIP}/additionalProperties", True),
    m("open answer closed", WORK, "S/problemDetailError/additionalProperties", False),
    m("answer field not required any more", WIDEN, "S/member/required", ["membership"]),
    m("answer enum gains a value", WIDEN, "S/membershipStatus/enum", add("S/membershipStatus/enum", "suspended")),
    m("answer enum loses a value", BREAKS, "S/membershipStatus/enum",
      ["pending", "enrolled", "declined", "notFound"]),
    m("answer enum loses a value we do not send", WORK, "S/membershipStatus/enum",
      ["enrolled", "canceled", "declined", "notFound"]),
    m("answer type widened", WIDEN, f"{MEMBERSHIP}/properties/points/type", "number"),
    m("answer type changed", BREAKS, f"{MEMBERSHIP}/properties/points/type", "string"),
    m("maximum of an answer", BREAKS, f"{MEMBERSHIP}/properties/points/maximum", 1_000_000),
    m("minimum of an answer", WORK, f"{MEMBERSHIP}/properties/points/minimum", 0),
    m("exclusive minimum of an answer", BREAKS, f"{MEMBERSHIP}/properties/points/exclusiveMinimum", 0),
    m("pattern of an answer", BREAKS, f"{MEMBERSHIP}/properties/membershipNumber/pattern", "^[0-9]+$"),
    m("const in an answer", BREAKS, f"{MEMBERSHIP}/properties/tier/const", "Gold"),
    m("answer format changed", BREAKS, f"{MEMBERSHIP}/properties/expiresAt/format", "date"),
    m("answer format gone", WIDEN, f"{MEMBERSHIP}/properties/expiresAt/format", REMOVED),
    m("answer maxLength lowered", BREAKS, "S/member/properties/firstName/maxLength", 100),
    m("answer maxLength raised", WIDEN, "S/member/properties/firstName/maxLength", 300),
    m("members bounded loosely", WORK, "S/searchMembersResponse/properties/members/maxItems", 1000),
    m("members bounded tightly", BREAKS, "S/searchMembersResponse/properties/members/maxItems", 1),
    m("memberships bounded below what a request asks for", BREAKS,
      "S/listMembershipsResponse/properties/memberships/maxItems", 50),
    m("memberships bounded by what a request asks for", WORK,
      "S/listMembershipsResponse/properties/memberships/maxItems", 100),
    m("oneOf loses a branch", BREAKS, "S/membershipDetails/oneOf/1", REMOVED),
    m("oneOf gains a branch", WIDEN, "S/membershipDetails/oneOf/2", CLOSED | {"maxProperties": 0}),
    m("allOf in an answer", BREAKS, "S/membershipDetails/allOf", [{"required": ["tier"]}]),
    m("answer unwrapped", BREAKS, "S/enrollCustomerResponse/properties/membership",
      put("S/enrollCustomerResponse", {"$ref": "#/components/schemas/membershipDetails"})),
    m("answer wrapped anew", BREAKS, "S/searchMembersResponse/required",
      put("S/searchMembersResponse/properties/total", {"type": "integer"},
          "S/searchMembersResponse/required", ["members", "total"])),
    m("problem needs its detail", WIDEN, "S/problemDetail/required", add("S/problemDetail/required", "detail")),
    m("problem needs errors", BREAKS, "S/problemDetail/required", add("S/problemDetail/required", "errors")),
    m("status gone", BREAKS, "search/responses/401", REMOVED),
    m("status new", WORK, "enroll/responses/409", {"$ref": "#/components/responses/badRequest"}),
    m("another status of success", BREAKS, "enroll/responses/200",
      move("enroll/responses/200", "enroll/responses/201")),
    m("statuses told by a default", WORK, "search/responses/default",
      move("search/responses/401", "search/responses/default")),
    m("answer media type replaced", BREAKS, "R/badRequest/PROBLEM",
      move("R/badRequest/PROBLEM", "R/badRequest/JSON")),
    m("answer media type new", WIDEN, "search/responses/200/content/text~1csv", {"schema": STRING}),
    m("required header that we send", WIDEN, "R/unauthorized/headers",
      {"WWW-Authenticate": {"required": True, "schema": STRING}}, at="R/unauthorized/headers/WWW-Authenticate"),
    m("required header that we do not send", BREAKS, "R/badRequest/headers",
      {"X-Error-Code": {"required": True, "schema": STRING}}, at="R/badRequest/headers/X-Error-Code"),
    m("header of another type than we send", BREAKS, "R/unauthorized/headers",
      {"X-Request-Id": {"schema": {"type": "integer"}}}, at="R/unauthorized/headers/X-Request-Id"),
    m("optional header new", WIDEN, "R/badRequest/headers", {"X-Error-Code": {"schema": STRING}},
      at="R/badRequest/headers/X-Error-Code"),
]  # fmt: skip
TEXTS = [
    m("description", TEXT, f"{FILTER}/description", "Other words."),
    m("version", TEXT, "info/version", "2026.01.01", at="info"),
    m("server address", TEXT, "servers/0/url", "https://provider.example", at="servers"),
    m("summary", TEXT, "search/summary", "Find members"),
    m("example", TEXT, f"{MEMBERSHIP}/properties/tier/examples", ["Gold"]),
    m("title of a branch", TEXT, f"{FILTER}/anyOf/0/title", "By e-mail"),
    m("extension", TEXT, "enroll/x-internal", True),
    m("deprecated", TEXT, "list/deprecated", True),
    m("order of required fields", TEXT, "",
      put("S/searchMembersRequest/required", ["memberFilter", "mewsEnterpriseId"])),
    m("component renamed", TEXT, "", renamed_component),
]  # fmt: skip
MUTATIONS = [*REQUESTS, *CALLS, *ANSWERS, *TEXTS]
