"""The report as one HTML file for people and paper, and as JUnit XML for CI."""

import functools
import pathlib
from urllib.parse import urlsplit

import jinja2

from certify.report import Report, Result
from certify.requirements import DOCUMENTATION, Flow
from certify.wording import counted, duration


def write_html(report: Report, path: pathlib.Path) -> None:
    """Write the report as one HTML file, readable on paper.

    Raises:
        OSError: it cannot be written.
    """
    _write("report.html", report, path)


def write_junit(report: Report, path: pathlib.Path) -> None:
    """Write the report as JUnit XML: a suite for each flow, a case for each requirement.

    Raises:
        OSError: it cannot be written.
    """
    _write("report.xml", report, path)


def _write(template: str, report: Report, path: pathlib.Path) -> None:
    text = _templates().get_template(template).render(report=report, flows=list(Flow), result=Result)
    path.write_text(text, encoding="utf-8")


@functools.cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("certify"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["place"] = _place
    environment.filters["duration"] = duration
    environment.globals["counted"] = counted
    return environment


def _place(address: str) -> str:
    """Return an address of Mews' documentation as people say it: the page, and the part of it."""
    parts = urlsplit(address.removeprefix(DOCUMENTATION))
    return f"{parts.path} § {parts.fragment.replace('-', ' ')}" if parts.fragment else parts.path
