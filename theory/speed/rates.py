"""Throughput: tokens per second of a verifier with a policy, E[tau + 1] / E[T], a ratio of means over contexts.

The time of a step is 2602.16994, eq. 11, with what a real run adds to it: ``T = sum of draft passes + target pass +
verification + overhead``.  At a context of l tokens, the root's included, a draft's pass that brings the tokens
fed since then to j + 1 attends to l + j; the target's pass over N nodes attends to l + N - 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from math import inf, sqrt
from typing import Any

import scipy

from ..efficiency.delayed import efficiency_of, reach_by_action
from ..efficiency.efficiency import block_efficiency
from ..pairs.base import Pair
from ..policies.arguments import get_policy
from ..policies.base import Policy
from ..policies.paths import Delayed
from ..rows.distributions import check_count
from ..rows.trees import Context
from ..verifiers.table import Verifier, get_verifier
from .hardware import Device, NumberFormat, get_format
from .latency import Line, NoPass, PassTime, Roofline, Seconds
from .networks import Network
from .schedules import Schedule

ROW_BYTES = 32
"""Bytes that verification moves for each node and token: two float32 rows, each read or written four times."""

VERIFICATION_FLOOR, STEP_OVERHEAD = 2e-4, 5e-4
"""Seconds a step that do not grow with the tree: kernels of the verifier; host work between passes.  Round numbers."""

PADDING = 256
"""Tables of one vocabulary differ by less: Qwen2.5's small ones have 151,936 rows, its large ones 152,064."""

NOTHING = Line()
"""A part that takes no time."""


class Term(Enum):
    """The parts of a step's time."""

    DRAFT = "draft passes"
    TARGET = "target pass"
    VERIFICATION = "verification"
    OVERHEAD = "overhead"


@dataclass(frozen=True)
class StepTime:
    """Seconds of one step, or means of many, by term."""

    draft: Seconds
    target: Seconds
    verification: Seconds = 0
    overhead: Seconds = 0

    @property
    def terms(self) -> dict[Term, Seconds]:
        """The four parts."""
        return dict(zip(Term, (self.draft, self.target, self.verification, self.overhead), strict=True))

    @property
    def total(self) -> Seconds:
        """T."""
        return self.draft + self.target + self.verification + self.overhead

    @property
    def dominant(self) -> Term:
        """The greatest part, the first of equals."""
        return max(self.terms, key=self.terms.__getitem__)

    @classmethod
    def mean(cls, times: Sequence[StepTime]) -> StepTime:
        """The mean of at least one; exact for Fractions."""
        columns = zip(*(time.terms.values() for time in times), strict=True)
        return cls(*(sum(column) / len(times) for column in columns))


@dataclass(frozen=True)
class LatencyModel:
    """How long the parts of a step take on one machine with one pair of networks.

    target, draft : their passes; verification : by verifier's name, ``"*"`` for all that are not named
    overhead : of a step; name : stands in tables; note : what a reader should know
    batch : requests that a step serves at once, all with trees of one size: every time is that of the whole batch
    """

    target: PassTime
    draft: PassTime
    verification: Mapping[str, Line] = field(default_factory=lambda: {"*": NOTHING})
    overhead: Line = NOTHING
    name: str = "latency model"
    note: str = ""
    batch: int = 1

    def step(self, schedule: Schedule, context: int, verifier: str | Verifier = "*") -> StepTime:
        """The seconds of a step whose root is the last of ``context`` >= 1 tokens.

        Raises ``ValueError`` for a verifier whose verification is not known, or sizes that were not measured.
        """
        before, line = check_count("context", context, 1) - 1, self.line(verifier)
        if line is None:
            known = ", ".join(self.verification)
            raise ValueError(f"{self.name} knows no verification by {verifier!r}, only by {known}")
        draft: Seconds = 0
        fed = 0
        for new in schedule.draft:
            draft = draft + self.draft.seconds(before + fed, new)
            fed += new
        target = self.target.seconds(before, schedule.nodes)
        return StepTime(draft, target, line.seconds(schedule.nodes), self.overhead.seconds(schedule.nodes))

    def knows(self, verifier: str | Verifier) -> bool:
        """True if the time of its verification is known."""
        return self.line(verifier) is not None

    def at_batch(self, batch: int) -> LatencyModel:
        """The model of so many requests at once; ``ValueError`` for passes that were measured for their own only."""
        share = check_count("batch", batch, 1) / self.batch
        lines = {name: replace(line, per_node=line.per_node * share) for name, line in self.verification.items()}
        target, draft = self.target.at_batch(batch), self.draft.at_batch(batch)
        return replace(self, target=target, draft=draft, verification=lines, batch=batch)

    def most_requests(self, tokens: int) -> int | None:
        """How many requests of so many cached tokens fit beside the weights; ``None`` where no memory is known."""
        passes = [one for one in (self.target, self.draft) if isinstance(one, Roofline)]
        if not passes:
            return None
        weights = sum(one.network.parameters * one.weight_bytes for one in passes)
        cache = tokens * sum(one.network.cache_entries * one.cache_bytes for one in passes)
        return int((passes[0].device.memory - weights) // cache)

    def line(self, verifier: str | Verifier) -> Line | None:
        """The seconds of its verification, by the nodes of a tree; ``None`` if they are not known."""
        name = verifier if verifier == "*" else get_verifier(verifier).name
        return self.verification.get(str(name), self.verification.get("*"))

    def plain(self, context: int) -> Seconds:
        """The seconds of one token without a draft: the target's pass, and the overhead of a step of one node."""
        return self.target.seconds(check_count("context", context, 1) - 1, 1) + self.overhead.seconds(1)


def roofline_model(
    target: Network,
    draft: Network | None,
    device: Device,
    *,
    number_format: str | NumberFormat = "bf16",
    batch: int = 1,
    tokens: int = 0,
    **options: Any,
) -> LatencyModel:
    """The latency model of a pair on a device, from its published figures.

    draft : ``None`` costs nothing, as n-grams do; a head of the target: ``target.head()``
    number_format : of the weights of both; batch : requests at once; tokens : cached of each, which must fit as well
    options : those of :class:`.Roofline`, in place of the format's

    Verification moves ``ROW_BYTES`` for each node and token of every request, and has a floor; both are assumptions.
    Raises ``ValueError`` for vocabularies that differ by more than the padding of tables, and for weights and caches
    that do not fit.
    """
    kind = number_format if isinstance(number_format, NumberFormat) else get_format(number_format)
    _check_vocabularies(target, draft)
    shared = {"weight_bytes": kind.weight_bytes, "bandwidth_share": kind.bandwidth_share, "batch": batch, **options}
    reached = replace(device, peak=device.peak_of(kind))
    large = Roofline(target, reached, **shared)
    small = Roofline(draft, reached, **shared) if draft else NoPass()
    _require_room(device, [pass_time for pass_time in (large, small) if isinstance(pass_time, Roofline)], tokens)
    moved = batch * target.vocabulary_size * ROW_BYTES / (device.bandwidth * large.bandwidth_share)
    name = f"{device.name}, {target.name} with {draft.name if draft else 'n-grams'}"
    name += f" in {kind.name}" if kind.name != "bf16" else ""
    note = "roofline from published figures, not measured"
    return LatencyModel(large, small, {"*": Line(VERIFICATION_FLOOR, moved)}, Line(STEP_OVERHEAD), name, note, batch)


def _check_vocabularies(target: Network, draft: Network | None) -> None:
    """Raise ``ValueError`` unless the tables are of one vocabulary, up to padding."""
    sizes = target.vocabulary_size, draft.vocabulary_size if draft else target.vocabulary_size
    if max(sizes) - min(sizes) > PADDING:
        raise ValueError(
            f"target {target.name} and draft {draft.name if draft else None} must share a vocabulary, but have "
            f"{sizes[0]} and {sizes[1]} tokens"
        )


def _require_room(device: Device, passes: Sequence[Roofline], tokens: int) -> None:
    """Raise ``ValueError`` unless the weights fit, and then the caches of all requests."""
    names = " and ".join(one.network.name for one in passes)
    what = f"the pair {names}" if len(passes) > 1 else names
    weights = sum(one.network.parameters * one.weight_bytes for one in passes)
    device.require_room(weights, what)
    batch = passes[0].batch
    caches = sum(batch * tokens * one.network.cache_entries * one.cache_bytes for one in passes)
    device.require_room(weights + caches, f"{what} with {batch} requests of {tokens} tokens")


@dataclass(frozen=True)
class Throughput:
    """Tokens per second over contexts or trees that count alike: ``tokens`` and ``times`` of each, at least one."""

    tokens: tuple[Any, ...] = field(repr=False)
    times: tuple[StepTime, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.tokens or len(self.tokens) != len(self.times):
            raise ValueError(f"tokens and times must be as many, at least 1: {len(self.tokens)} and {len(self.times)}")
        for row, (count, time) in enumerate(zip(self.tokens, self.times, strict=True)):
            if not 0 < count < inf:
                raise ValueError(f"tokens row {row} is {count}; a step emits a finite number of tokens above 0")
            if not 0 < time.total < inf:
                raise ValueError(f"times row {row} takes {time.total} seconds; a step takes more than 0")

    @property
    def block_efficiency(self) -> Any:
        """The mean of E[tau + 1]."""
        return sum(self.tokens) / len(self.tokens)

    @property
    def time(self) -> StepTime:
        """The mean time of a step, by term."""
        return StepTime.mean(self.times)

    @property
    def tokens_per_second(self) -> Any:
        """The ratio of the two means; exact for Fractions."""
        return sum(self.tokens) / sum(time.total for time in self.times)

    def confidence_interval(self, level: float = 0.95) -> tuple[float, float]:
        """Student's interval of the ratio, linearised, for independent contexts or trees; at least two of them."""
        if not 0 < level < 1:
            raise ValueError(f"level must lie in (0, 1), but is {level}")
        count, ratio = len(self.tokens), float(self.tokens_per_second)
        if count < 2:
            raise ValueError("one context is too few to know how much they differ")
        seconds = [float(time.total) for time in self.times]
        squares = sum((float(tokens) - ratio * s) ** 2 for tokens, s in zip(self.tokens, seconds, strict=True))
        error = sqrt(squares * count / (count - 1)) / sum(seconds)
        half = float(scipy.special.stdtrit(count - 1, (1 + level) / 2)) * error
        return ratio - half, ratio + half


def throughput(
    model: LatencyModel,
    verifier: str | Verifier,
    policy: str | Policy,
    pair: Pair,
    roots: Iterable[tuple[Context, int]] = (((), 1),),
    method: str = "enumerate",
) -> Throughput:
    """The throughput of a verifier and a policy, over roots of a pair, with the passes that the policy plans.

    roots : contexts of the pair, and for each the number of tokens that count for time (the root's included)
    method : "enumerate" or "dp", of :func:`.block_efficiency`; exact for Fractions

    Raises ``ValueError`` for another method: an estimate, or an interval, would lose its error here.
    """
    if method not in ("enumerate", "dp"):
        raise ValueError(
            f'method must be "enumerate" or "dp", which are exact, but is {method!r}: for an estimate with its error '
            "make a Throughput of the tokens and times of sampled trees, which has a confidence interval"
        )
    policy = get_policy(policy)
    schedule, tokens, times = Schedule.of_policy(policy), [], []
    for context, length in roots:
        tokens.append(block_efficiency(verifier, policy, pair, method, context=context).value)
        times.append(model.step(schedule, length, verifier))
    return Throughput(tuple(tokens), tuple(times))


def throughput_by_action(
    model: LatencyModel, verifier: str | Verifier, pair: Pair, paths: int, depth: int, context: int, root: Context = ()
) -> dict[Delayed, Throughput]:
    """The throughput of ``Delayed(K, L1, L2)`` for K to ``paths``, L1 + L2 to ``depth``, best first.

    context : tokens that count for time.  For top-down verifiers with a known joint law on layered pairs: all
    block efficiencies come from one table (see :func:`.reach_by_action`).
    """
    reach = reach_by_action(verifier, pair, paths, depth, root)
    actions = [Delayed(1, 0, length) for length in range(depth + 1)]
    actions += [Delayed(k, trunk, branch) for k in range(2, paths + 1) for trunk in range(depth)
                for branch in range(1, depth + 1 - trunk)]  # fmt: skip
    found = {
        action: Throughput(
            (efficiency_of(reach, action),), (model.step(Schedule.of_policy(action), context, verifier),)
        )
        for action in actions
    }
    return dict(sorted(found.items(), key=lambda item: item[1].tokens_per_second, reverse=True))
