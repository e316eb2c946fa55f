"""How much is allowed in a time: requests with one token, failed authentications from one address."""

import ipaddress
import math
import os
import pathlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from limits import RateLimitItem
from limits.strategies import FixedWindowRateLimiter

from app.counts import SharedCounts
from app.settings import METRICS_DIRECTORY, parse_rates

# Who has an IPv6 address usually has all that begin with the same 64 bits (RFC 6177).
IPV6_PREFIX = 64


@dataclass(frozen=True)
class Standing:
    """How a client stands after a request.

    Attributes:
        retry_after: whole seconds until more is allowed; 0 if this request is.
        fields: header fields that tell it (draft-ietf-httpapi-ratelimit-headers-10).
    """

    retry_after: int
    fields: list[tuple[bytes, bytes]]


class Rates:
    """The limits of one setting, and what each client has used of them.

    A time begins with a client's first request, so within the length of one time twice the limit may pass: at the end
    of one and at the start of the next.
    """

    def __init__(self, name: str, notation: str) -> None:
        """Start to count.

        Args:
            name: what is counted; the worker processes of a server share the counts by this name.
            notation: the limits as settings have them; empty for none.
        """
        folder = os.environ.get(METRICS_DIRECTORY)
        self._items: Sequence[RateLimitItem] = parse_rates(notation)
        self._limiter = FixedWindowRateLimiter(SharedCounts(pathlib.Path(folder, f"{name}.counts") if folder else None))
        self._policy = ", ".join(f'"{item}";q={item.amount};w={item.get_expiry()}' for item in self._items)

    def count(self, client: str) -> Standing:
        """Count one request, refused ones as well, and return how the client stands."""
        retry_after, remaining = 0, []
        for item in self._items:
            is_allowed = self._limiter.hit(item, client)
            stats = self._limiter.get_window_stats(item, client)
            seconds = max(1, math.ceil(stats.reset_time - time.monotonic()))
            remaining.append(f'"{item}";r={stats.remaining};t={seconds}')
            retry_after = retry_after if is_allowed else max(retry_after, seconds)
        pairs = {b"ratelimit-policy": self._policy, b"ratelimit": ", ".join(remaining)} if self._items else {}
        return Standing(retry_after, [(name, value.encode()) for name, value in pairs.items()])


def origin(host: str) -> str:
    """Return what addresses are counted by: an IPv4 address, the network of an IPv6 one, or one name for all else.

    Args:
        host: the client's address; behind a proxy, whatever the proxy says it is.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
