"""The language of problems: Accept-Language, and English without it, at each operation."""

from collections.abc import Iterator
from typing import Any

from certify.client import Answer
from certify.play import Play
from certify.requirements import Flow
from certify.scenario import scenario
from certify.scenarios.every import harmless

ODD_LANGUAGES = ("*", "tlh", "en;q=0.1, *;q=0", "de-AT, de;q=0.9", "not a language!")


def ask(play: Play, flow: Flow, body: Any, language: str = "") -> Answer:
    """Return the answer of an operation, told in a language if one is given."""
    return play.call(flow, body, headers={"Accept-Language": language} if language else {})


def refusals(play: Play, language: str = "") -> Iterator[tuple[Flow, Answer]]:
    """Yield the refusal of an empty request by each operation that the server has, told in a language."""
    for flow in harmless(play):
        yield flow, ask(play, flow, {}, language)


def title(answer: Answer) -> Any:
    """Return the title of a problem; None where there is none."""
    return answer.body.get("title") if isinstance(answer.body, dict) else None


@scenario(Flow.EVERY, "language-any-is-taken")
def ask_in_odd_languages(play: Play) -> None:
    """Ask each operation in languages that do not exist, or that nobody speaks, to be served and to be refused."""
    for flow, body in harmless(play).items():
        requests: list[Any] = [{}] if flow is Flow.ENROLL else [{}, body]  # an enrollment would leave a guest behind
        for sent in requests:
            default = ask(play, flow, sent)
            for language in ODD_LANGUAGES:
                answer = ask(play, flow, sent, language)
                told = f"With Accept-Language {language!r} the status is {answer.status}, and without {default.status}."
                play.check("language-any-is-taken", answer.status == default.status, told, default, answer)


@scenario(Flow.EVERY, "language-is-english-by-default", "language-is-labelled")
def ask_without_language(play: Play) -> None:
    """Ask each operation in no language, and in English."""
    for (flow, default), (_, english) in zip(refusals(play), refusals(play, "en"), strict=True):
        if default.status < 400:
            continue
        told = f"Without Accept-Language the problem's title is another than in English ({flow})."
        play.check("language-is-english-by-default", title(default) == title(english), told, english, default)
        labelled = default.headers.get("Content-Language", "")
        if labelled:
            told = f"Without Accept-Language the problem's Content-Language is not English ({flow})."
            play.check("language-is-english-by-default", labelled.lower().startswith("en"), told, default)
        play.check("language-is-labelled", bool(labelled), f"The problem has no Content-Language ({flow}).", default)


@scenario(Flow.EVERY, "language-declared-is-spoken")
def ask_in_declared_languages(play: Play) -> None:
    """Ask each operation in each language that the provider declares."""
    if not play.options.languages:
        play.judge.skip("language-declared-is-spoken", "No language was declared (--language).")
        return
    english = dict(refusals(play, "en"))
    for language in play.options.languages:
        for flow, answer in refusals(play, language):
            labelled = answer.headers.get("Content-Language", "").lower()
            is_english = language.lower().startswith("en")
            spoken = labelled.startswith(language.lower().partition("-")[0]) if labelled else title(answer) is not None
            different = is_english or title(answer) != title(english[flow])
            told = f"The problem is not told in {language} ({flow})."
            play.check("language-declared-is-spoken", spoken and different, told, english[flow], answer)
