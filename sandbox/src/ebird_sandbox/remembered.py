"""Answers that took long to make, kept until the world changes.

Bounded by size. This module must never give an answer of another world, moment or request.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from email.utils import formatdate

from starlette.responses import Response

WORTH_SECONDS = 0.05
_MOST_BYTES = 64 * 1024 * 1024


@dataclass
class Remembered:
    """The answers of one state of the world, by request."""

    _state: object = None
    _answers: OrderedDict[str, Response] = field(default_factory=OrderedDict[str, Response])
    _bytes: int = 0

    def get(self, state: object, request: str) -> Response | None:
        """The answer to a request, if it was given before in this state."""
        if state != self._state:
            self._state = state
            self._answers.clear()
            self._bytes = 0
        found = self._answers.get(request)
        if found is None:
            return None
        self._answers.move_to_end(request)
        headers = {**found.headers, "date": formatdate(usegmt=True)}
        return Response(found.body, found.status_code, headers)

    def keep(self, state: object, request: str, answer: Response) -> None:
        """Keeps an answer of a state, and drops the oldest ones if they are too many."""
        if state == self._state and request not in self._answers:
            self._answers[request] = answer
            self._bytes += len(answer.body)
        while self._bytes > _MOST_BYTES:
            _, old = self._answers.popitem(last=False)
            self._bytes -= len(old.body)
