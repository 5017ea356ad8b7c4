"""What a verifier accepts of a policy's trees, and how fast that is on a machine, for one request and for a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..policies.base import Policy
from ..speed.rates import LatencyModel, StepTime, Throughput
from ..speed.schedules import Schedule

MILLION, HOUR = 1_000_000, 3600


@dataclass(frozen=True)
class Expected:
    """What a verifier accepts, whatever the machine.

    verifier : its name, or ``*`` for the rule that acceptance was measured with; tokens : E[tau + 1] of each tree, or
    of each context, or the one mean; schedules : the passes of each, or of all; reach : (L + 1,) the mean probability
    that tau is at least 0, 1, ..., empty if it is not known
    """

    verifier: str
    policy: Policy
    tokens: tuple[Any, ...] = field(repr=False)
    schedules: tuple[Schedule, ...] = field(repr=False)
    reach: tuple[float, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Answer:
    """A verifier with a policy on some hardware.

    result : tokens and seconds of steps, of one request; plain : its tokens per second without a draft;
    batch : requests that are served at once, each as fast
    """

    hardware: str
    expected: Expected
    result: Throughput
    plain: float
    batch: int = 1

    @property
    def verifier(self) -> str:
        """Its name."""
        return self.expected.verifier

    @property
    def policy(self) -> str:
        """Its name."""
        return self.expected.policy.name

    @property
    def tokens_per_second(self) -> float:
        """Of one request."""
        return float(self.result.tokens_per_second)

    @property
    def in_all(self) -> float:
        """Tokens per second of the whole batch."""
        return self.batch * self.tokens_per_second

    @property
    def gain(self) -> float:
        """Tokens per second over those of plain decoding of the same batch."""
        return self.tokens_per_second / self.plain

    def price(self, per_hour: float) -> float:
        """Of a million tokens, where the machine costs so much an hour."""
        return per_hour / HOUR / self.in_all * MILLION

    def record(self, per_hour: float | None = None) -> dict[str, Any]:
        """The answer as JSON values; ``price`` only where the machine's is given."""
        time = self.result.time
        held = {
            "hardware": self.hardware, "verifier": self.verifier, "policy": self.policy, "batch": self.batch,
            "block_efficiency": float(self.result.block_efficiency), "seconds": float(time.total),
            "terms": {term.value: float(part) for term, part in time.terms.items()},
            "tokens_per_second": self.tokens_per_second, "tokens_per_second_in_all": self.in_all,
            "plain_tokens_per_second": self.plain, "dominated_by": time.dominant.value,
            "reach": [float(one) for one in self.expected.reach],
        }  # fmt: skip
        return held if per_hour is None else held | {"price_per_million_tokens": self.price(per_hour)}


def answer_of(expected: Expected, model: LatencyModel, lengths: Sequence[int]) -> Answer:
    """The answer on a machine, its times averaged over contexts of so many tokens.

    Raises ``ValueError`` for sizes, contexts or verifiers that were not measured.
    """
    times = {
        schedule: StepTime.mean([model.step(schedule, length, expected.verifier) for length in lengths])
        for schedule in set(expected.schedules)
    }
    spent = [times[schedule] for schedule in expected.schedules]
    spent *= len(expected.tokens) if len(spent) == 1 else 1
    return Answer(model.name, expected, Throughput(expected.tokens, tuple(spent)), plain_speed(model, lengths),
                  model.batch)  # fmt: skip


def plain_speed(model: LatencyModel, lengths: Sequence[int]) -> float:
    """Tokens per second of one request without a draft."""
    return float(len(lengths) / sum(model.plain(length) for length in lengths))


def gains_by_batch(
    found: Iterable[Expected], model: LatencyModel, lengths: Sequence[int], batches: Iterable[int]
) -> dict[int, float]:
    """The best gain over plain decoding at each batch, of what is offered; speculation pays where it exceeds 1.

    Raises ``ValueError`` for a measured model, which holds for its own batch alone.
    """
    offered = list(found)
    return {
        batch: max(answer_of(one, model.at_batch(batch), lengths).gain for one in offered) for batch in batches
    }


def last_paying(
    found: Sequence[Expected], model: LatencyModel, lengths: Sequence[int], most: int
) -> tuple[int, dict[int, float]]:
    """The most requests, up to ``most``, at which speculation pays (0 if none), and gains at powers of two on the way.

    Between the last power of two that pays and the next one the gain is taken to cross 1 once.
    """
    powers = [2**step for step in range(most.bit_length()) if 2**step <= most]
    gains = gains_by_batch(found, model, lengths, powers)
    paying = [batch for batch, gain in gains.items() if gain > 1]
    if not paying:
        return 0, gains
    low, high = paying[-1], min(2 * paying[-1], most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        pays = gains_by_batch(found, model, lengths, [middle])[middle] > 1
        low, high = (middle, high) if pays else (low, middle)
    return low, gains
