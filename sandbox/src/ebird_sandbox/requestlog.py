"""What was asked: counts by endpoint and status, and the latest requests one by one.

Pipelines are proved right by it: that a second run asks less, that nothing is asked twice. This
module must never keep a key.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from time import monotonic
from urllib.parse import parse_qsl, urlencode

_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Asked:
    """One request and what became of it."""

    number: int
    seconds: float
    """Since the start, to see how fast somebody asks."""
    endpoint: str
    target: str
    status: int
    fault: str | None


@dataclass
class RequestLog:
    """The requests since the start, or since it was cleared."""

    total: int = 0
    by_endpoint: Counter[str] = field(default_factory=Counter[str])
    by_status: Counter[str] = field(default_factory=Counter[str])
    begin: float = field(default_factory=monotonic)
    latest: deque[Asked] = field(default_factory=lambda: deque[Asked](maxlen=_KEPT))

    def note(self, endpoint: str, target: str, status: int, fault: str | None) -> None:
        """Writes one request down."""
        self.total += 1
        self.by_endpoint[endpoint] += 1
        self.by_status[str(status)] += 1
        seconds = round(monotonic() - self.begin, 4)
        self.latest.append(Asked(self.total, seconds, endpoint, target, status, fault))

    def clear(self) -> None:
        """Forgets everything."""
        self.total = 0
        self.by_endpoint.clear()
        self.by_status.clear()
        self.latest.clear()


def without_key(path: str, query: str) -> str:
    """A path and its query, without the key that a query may carry."""
    if not query:
        return path
    if "key" in query:
        pairs = parse_qsl(query, keep_blank_values=True)
        query = urlencode([(name, value) for name, value in pairs if name != "key"])
    return f"{path}?{query}" if query else path
