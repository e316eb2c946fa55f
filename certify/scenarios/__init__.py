"""The scenarios, a module for each flow; to import it puts them all into `certify.scenario.SCENARIOS`."""

from certify.scenarios import chained, enroll, every, language, link, programs, refresh, search

__all__ = ["chained", "enroll", "every", "language", "link", "programs", "refresh", "search"]
