"""Faults of problem details."""

import re

from tests.certify.faults.seeding import JSON, seeded, spoil_errors, spoil_problems, without
from tests.certify.front import Answer, Call, answer
from tests.support import ENROLL, LINK, PROBLEM, SEARCH


def spoil_400(call: Call, change: dict) -> Answer:
    """Change members of each problem that tells of a wrong request."""
    return spoil_problems(call, lambda body: body | (change if body["status"] == 400 else {}))


@seeded("errors-are-problem-details")
def title_missing(call: Call) -> Answer:
    return spoil_problems(call, lambda body: without(body, "title"))


@seeded("errors-are-problem-details")
def own_shape(call: Call) -> Answer:
    return spoil_problems(call, lambda body: {"code": body["status"], "message": body["detail"]})


@seeded("errors-are-problem-details")
def page_of_the_framework(call: Call) -> Answer:
    found = call.forward()
    page = b"<!doctype html><title>400 Bad Request</title><h1>Bad Request</h1>"
    return answer(400, page, "text/html; charset=utf-8") if found.status == 400 else found


@seeded("errors-are-problem-json")
def problems_as_plain_json(call: Call) -> Answer:
    found = call.forward()
    return found.with_header("Content-Type", JSON) if found.is_problem else found


@seeded("errors-tell-the-status")
def another_status_in_the_problem(call: Call) -> Answer:
    return spoil_400(call, {"status": 422})


@seeded("errors-tell-the-status")
def status_as_text(call: Call) -> Answer:
    return spoil_problems(call, lambda body: body | {"status": str(body["status"])})


@seeded("errors-have-the-published-type")
def about_blank(call: Call) -> Answer:
    return spoil_400(call, {"type": "about:blank"})


@seeded("errors-have-the-published-type")
def type_without_its_address(call: Call) -> Answer:
    return spoil_problems(call, lambda body: body | {"type": body["type"].removeprefix(PROBLEM)})


@seeded("errors-have-the-published-type")
def type_of_another_status(call: Call) -> Answer:
    return spoil_400(call, {"type": f"{PROBLEM}core/internal-server-error"})


@seeded("errors-have-the-published-type")
def type_in_the_language(call: Call) -> Answer:
    """The key goes through the translation as well."""
    is_translated = not call.headers.get("Accept-Language", "en").startswith(("en", "*"))
    return spoil_400(call, {"type": f"{PROBLEM}core/requete-incorrecte"}) if is_translated else call.forward()


@seeded("errors-of-fields-have-published-types")
def own_types_of_fields(call: Call) -> Answer:
    return spoil_errors(call, lambda error: error | {"type": "value_error.missing"})


@seeded("errors-of-fields-have-published-types")
def errors_without_pointers(call: Call) -> Answer:
    return spoil_errors(call, lambda error: without(error, "pointer"))


@seeded("list-pointer-is-zero-based")
def pointer_counts_from_one(call: Call) -> Answer:
    def change(error: dict) -> dict:
        return error | {"pointer": re.sub(r"\d+$", lambda number: str(int(number[0]) + 1), error["pointer"])}

    return spoil_errors(call, change)


@seeded("errors-point-in-fragment-form")
def pointer_without_number_sign(call: Call) -> Answer:
    return spoil_errors(call, lambda error: error | {"pointer": error["pointer"].removeprefix("#")})


@seeded("errors-point-in-fragment-form")
def path_with_dots(call: Call) -> Answer:
    return spoil_errors(call, lambda error: error | {"pointer": error["pointer"].replace("#/", "").replace("/", ".")})


@seeded("errors-point-at-the-field")
def pointer_from_the_customer(call: Call) -> Answer:
    """Pointers that begin at the part that was looked at."""
    return spoil_errors(call, lambda error: error | {"pointer": error["pointer"].replace("#/customer/", "#/")})


@seeded("errors-point-at-the-field")
def pointer_in_the_style_of_the_language(call: Call) -> Answer:
    """`last_name`, as the attribute is called."""

    def change(error: dict) -> dict:
        return error | {"pointer": re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", error["pointer"])}

    return spoil_errors(call, change)


@seeded("errors-name-the-fault")
def no_fields_named(call: Call) -> Answer:
    return spoil_problems(call, lambda body: without(body, "errors"))


@seeded("errors-name-the-fault")
def one_type_for_every_field(call: Call) -> Answer:
    return spoil_errors(call, lambda error: error | {"type": f"{PROBLEM}core/field-invalid-format"})


@seeded("errors-name-every-field")
def first_field_only(call: Call) -> Answer:
    return spoil_problems(call, lambda body: body | ({"errors": body["errors"][:1]} if "errors" in body else {}))


@seeded("errors-keep-their-title")
def title_for_each_address(call: Call) -> Answer:
    return spoil_problems(call, lambda body: body | {"title": f"{body['title']} at {call.target}"})


@seeded("errors-repeat-no-personal-data")
def value_in_the_detail(call: Call) -> Answer:
    """What the guest gave, in the problem and so in logs."""

    def change(error: dict) -> dict:
        value: object = call.body
        for step in error["pointer"].split("/")[1:]:
            value = value.get(step, "") if isinstance(value, dict) else ""
        return error | {"detail": f"'{value}' is not allowed here."}

    return spoil_errors(call, change)


@seeded("language-is-english-by-default")
def language_of_the_house(call: Call) -> Answer:
    return call.forward() if "Accept-Language" in call.headers else call.with_header("Accept-Language", "cs").forward()


@seeded("language-declared-is-spoken", languages=("cs",))
def english_only(call: Call) -> Answer:
    return call.with_header("Accept-Language", "en").forward()


@seeded("language-is-labelled")
def language_not_labelled(call: Call) -> Answer:
    return call.forward().without_header("Content-Language")


@seeded("language-is-english-by-default")
def language_of_the_house_at_enrollments(call: Call) -> Answer:
    return language_of_the_house(call) if call.is_for(ENROLL) else call.forward()


@seeded("language-declared-is-spoken", languages=("cs",))
def search_in_english_only(call: Call) -> Answer:
    """Translations that one of the operations was never given."""
    return english_only(call) if call.is_for(SEARCH) else call.forward()


@seeded("language-is-labelled")
def language_not_labelled_at_links(call: Call) -> Answer:
    return language_not_labelled(call) if call.is_for(LINK) else call.forward()


@seeded("errors-members-are-texts")
def details_in_a_list(call: Call) -> Answer:
    return spoil_problems(call, lambda body: body | {"detail": [body["detail"]]})


@seeded("errors-members-are-texts")
def number_for_the_instance(call: Call) -> Answer:
    return spoil_problems(call, lambda body: body | {"instance": 7})


@seeded("errors-point-at-the-field")
def nested_pointer_cut(call: Call) -> Answer:
    """Nested objects are looked at as a whole."""
    return spoil_errors(call, lambda error: error | {"pointer": re.sub("(/address)/.*", r"\1", error["pointer"])})
