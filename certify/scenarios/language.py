"""The language of problems: Accept-Language, and English without it."""

from typing import Any

from certify.client import Answer
from certify.play import Play
from certify.requirements import Flow
from certify.scenario import scenario

ODD_LANGUAGES = ("*", "tlh", "en;q=0.1, *;q=0", "de-AT, de;q=0.9", "not a language!")


def refusal(play: Play, language: str = "") -> Answer:
    """Return the refusal of an empty request, told in a language if one is given."""
    headers = {"Accept-Language": language} if language else {}
    flow = next(flow for flow in (Flow.LIST, Flow.SEARCH, Flow.ENROLL, Flow.LINK) if flow not in play.options.absent)
    return play.call(flow, {}, headers=headers)


def title(answer: Answer) -> Any:
    """Return the title of a problem; None where there is none."""
    return answer.body.get("title") if isinstance(answer.body, dict) else None


@scenario(Flow.EVERY, "language-any-is-taken", "language-is-english-by-default", "language-is-labelled")
def ask_in_languages(play: Play) -> None:
    """Ask for languages that exist, that do not, and for none."""
    default, english = refusal(play), refusal(play, "en")
    for language in ODD_LANGUAGES:
        answer = refusal(play, language)
        told = f"With Accept-Language {language!r} the status is {answer.status}, and without {default.status}."
        play.check("language-any-is-taken", answer.status == default.status, told, default, answer)
    if default.status < 400:
        return
    told = "Without Accept-Language the problem's title is another than in English."
    play.check("language-is-english-by-default", title(default) == title(english), told, english, default)
    labelled = default.headers.get("Content-Language", "")
    if labelled:
        told = "Without Accept-Language the problem's Content-Language is not English."
        play.check("language-is-english-by-default", labelled.lower().startswith("en"), told, default)
    play.check("language-is-labelled", bool(labelled), "The problem has no Content-Language.", default)


@scenario(Flow.EVERY, "language-declared-is-spoken")
def ask_in_declared_languages(play: Play) -> None:
    """Ask for each language that the provider declares."""
    if not play.options.languages:
        play.judge.skip("language-declared-is-spoken", "No language was declared (--language).")
        return
    english = refusal(play, "en")
    for language in play.options.languages:
        answer = refusal(play, language)
        labelled = answer.headers.get("Content-Language", "").lower()
        is_english = language.lower().startswith("en")
        spoken = labelled.startswith(language.lower().partition("-")[0]) if labelled else title(answer) is not None
        told = f"The problem is not told in {language}."
        different = is_english or title(answer) != title(english)
        play.check("language-declared-is-spoken", spoken and different, told, english, answer)
