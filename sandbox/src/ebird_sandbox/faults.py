"""Which requests go wrong, and how: rules by rate or by script, decided by the seed.

A rule looks at the requests of one endpoint, or of all. Whether a request is hit depends on its
path and on how often that path was asked for, not on the order in which parallel requests arrive.
This module decides; it must never touch an answer (``broken.py`` does).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from time import perf_counter

from ebird_sandbox.dice import fraction

FINE = "ok"
_LATE_SECONDS, _SLOW_SECONDS, _LONG_SECONDS = 0.05, 5.0, 3_600.0
KINDS = (
    "hang",
    "late",
    "slow",
    "cut",
    "invalid-json",
    "empty",
    "unknown-field",
    "wrong-type",
    "missing-field",
    "clock-skew",
)


class BadRuleError(ValueError):
    """A rule that cannot be; its words say what is wrong with it."""


@dataclass
class Fault:
    """One rule. ``kind`` is an HTTP status such as 429, or one of ``KINDS``."""

    endpoint: str = "*"
    kind: str = FINE
    rate: float = 1.0
    """The share of requests that it hits."""
    path: str = ""
    """Only requests whose path and query contain this."""
    after: int = 0
    """How many requests it lets pass before it begins."""
    times: int | None = None
    """How many requests it hits at the most."""
    script: Sequence[str] = ()
    """Instead of a kind and a rate: what happens to each next request, in turn."""
    retry_after: str = "6"
    """For a status: seconds, ``date`` for an HTTP date six seconds ahead, or ``none``."""
    seconds: float | None = None
    """How long it hangs (else an hour), is late (else 50 ms) or dribbles its body (else five
    seconds), or how far the clock is off (else an hour)."""
    field: str = ""
    """Which field is missing or of another type; without one, the seed picks it."""
    seen: int = 0
    hits: int = 0


@dataclass(frozen=True)
class Hit:
    """What happens to one request."""

    kind: str
    fault: Fault
    luck: float
    since: float = field(default_factory=perf_counter)
    """When the request came."""

    @property
    def seconds(self) -> float:
        """How long, or how far off."""
        usual = {"late": _LATE_SECONDS, "slow": _SLOW_SECONDS}.get(self.kind, _LONG_SECONDS)
        return usual if self.fault.seconds is None else self.fault.seconds


class Faults:
    """The rules in force, in the order in which they were given; the first that hits decides."""

    def __init__(self, seed: int, endpoints: Sequence[str], rules: Sequence[Fault] = ()) -> None:
        self._seed = seed
        self._endpoints = endpoints
        self._asked: Counter[str] = Counter()
        self.rules: list[Fault] = []
        for rule in rules:
            self.add(rule)

    def add(self, rule: Fault) -> None:
        """Puts a rule in force, if it makes sense."""
        if rule.endpoint != "*" and rule.endpoint not in self._endpoints:
            known = ", ".join(self._endpoints)
            message = f"no endpoint {rule.endpoint}; there are {known}"
            raise BadRuleError(message)
        for kind in rule.script or (rule.kind,):
            if kind not in (FINE, *KINDS) and not _is_status(kind):
                message = f"no fault {kind}; there are statuses from 400 to 599, {', '.join(KINDS)}"
                raise BadRuleError(message)
        if not 0 <= rule.rate <= 1:
            message = f"a rate is between 0 and 1, not {rule.rate}"
            raise BadRuleError(message)
        if rule.seconds is not None and not 0 <= rule.seconds <= 1e6:  # noqa: PLR2004 - eleven days
            message = f"seconds are between 0 and a million, not {rule.seconds}"
            raise BadRuleError(message)
        self.rules.append(rule)

    def clear(self) -> None:
        """Takes all rules out of force."""
        self.rules.clear()
        self._asked.clear()

    def decide(self, endpoint: str, target: str) -> Hit | None:
        """What happens to this request; nothing, most of the time."""
        if not self.rules:
            return None
        attempt = self._asked[target]
        self._asked[target] += 1
        for number, rule in enumerate(self.rules):
            if rule.endpoint not in ("*", endpoint) or rule.path not in target:
                continue
            turn = rule.seen
            rule.seen += 1
            luck = fraction(self._seed, "fault", number, target, attempt)
            kind = self._kind(rule, turn, luck)
            if kind != FINE:
                rule.hits += 1
                return Hit(kind, rule, luck)
        return None

    @staticmethod
    def _kind(rule: Fault, turn: int, luck: float) -> str:
        turn -= rule.after
        if turn < 0 or (rule.times is not None and rule.hits >= rule.times):
            return FINE
        if rule.script:
            return rule.script[turn] if turn < len(rule.script) else FINE
        return rule.kind if luck < rule.rate else FINE


def from_text(text: str) -> Fault:
    """A rule from the command line: ``lists:429,rate=0.1,retry_after=2``."""
    endpoint, colon, rest = text.partition(":")
    if not colon or not rest:
        message = f"a fault reads ENDPOINT:KIND[,option=value...], not {text!r}"
        raise BadRuleError(message)
    said: dict[str, object] = {"endpoint": endpoint}
    for part in rest.split(","):
        name, equals, value = part.partition("=")
        if equals:
            said[name.strip().replace("-", "_")] = value.strip()
        else:
            said["kind"] = name.strip()
    return from_mapping(said)


def from_mapping(said: Mapping[str, object]) -> Fault:
    """A rule from names and values."""
    known = [part.name for part in fields(Fault) if part.name not in ("seen", "hits")]
    strange = set(said) - set(known)
    if strange:
        message = f"a fault has no {', '.join(sorted(strange))}; it has {', '.join(known)}"
        raise BadRuleError(message)
    usual = Fault()
    try:
        rule = Fault(
            endpoint=str(said.get("endpoint", usual.endpoint)),
            kind=str(said.get("kind", usual.kind)),
            rate=float(str(said.get("rate", usual.rate))),
            path=str(said.get("path", usual.path)),
            after=int(str(said.get("after", usual.after))),
            times=int(str(said["times"])) if said.get("times") is not None else None,
            retry_after=str(said.get("retry_after", usual.retry_after)),
            seconds=float(str(said["seconds"])) if said.get("seconds") is not None else None,
            field=str(said.get("field", usual.field)),
        )
    except ValueError as error:
        message = f"not a number in a fault: {error}"
        raise BadRuleError(message) from None
    script = said.get("script", ())
    rule.script = script.split() if isinstance(script, str) else _words(script)
    return rule


def _words(value: object) -> list[str]:
    if not isinstance(value, (list, tuple)):
        message = f"a script is a list of kinds, not {value!r}"
        raise BadRuleError(message)
    return [str(word) for word in value]  # pyright: ignore[reportUnknownVariableType]


def _is_status(kind: str) -> bool:
    return len(kind) == 3 and kind.isdecimal() and kind[0] in "45"  # noqa: PLR2004
