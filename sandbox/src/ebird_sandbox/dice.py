"""Seeded chance: the same words always fall the same way, on every machine and Python version.

Everything random in the sandbox starts here, from the world's seed and a few words. This module
must never read the clock, the environment or an unseeded generator.
"""

import random
from hashlib import blake2b


def mix(*words: int | str) -> int:
    """A 64-bit number that only these words, in this order, give."""
    text = "\x1f".join(map(str, words))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def fraction(*words: int | str) -> float:
    """A number in [0, 1) that only these words, in this order, give."""
    return mix(*words) / 2**64


def dice(*words: int | str) -> random.Random:
    """A generator of chance for these words."""
    return random.Random(mix(*words))  # noqa: S311 - repeatable on purpose
