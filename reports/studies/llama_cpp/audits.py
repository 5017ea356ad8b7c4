"""The audits: what each server runs with, what is asked of it, behind which settings its tokens are scored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from veridraft.simulate.auditing.verdict import Verdict

DRAFTS = 3
"""Tokens in a step, at most."""

_DRAFT = ("--spec-type", "draft-simple", "-md", "{draft}", "--spec-draft-n-max", str(DRAFTS))

RATES, LENGTH = (0.7, 0.49, 0.343), 3.0
"""Of forced acceptance: that of each place, whatever stands before it; the mean length of a step."""

FORCED = MappingProxyType({"draft, forced rates": 0.7, "draft, forced length": 0.8105})
"""The rate at each place: r + r^2 + r^3 is the mean length less one."""

SPECULATION: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "none": (),
        "n-gram": ("--spec-type", "ngram-simple", "--spec-ngram-simple-size-n", "1",
                   "--spec-ngram-simple-size-m", str(DRAFTS)),
        "draft, greedy": (*_DRAFT, "--spec-draft-sampling", "greedy"),
        "draft, probabilistic": (*_DRAFT, "--spec-draft-sampling", "probabilistic"),
        "draft, forced rates": (*_DRAFT, "--spec-synth-rates", ",".join(map(str, RATES))),
        "draft, forced length": (*_DRAFT, "--spec-synth-len", str(LENGTH)),
    }
)  # fmt: skip
"""The flags of each way to speculate; ``{draft}`` is the draft's file."""

PLAIN: Mapping[str, float] = MappingProxyType({"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0})
NUCLEUS = MappingProxyType({**PLAIN, "temperature": 0.7, "top_p": 0.9})
CUT = MappingProxyType({**PLAIN, "top_k": 40, "min_p": 0.05})
GREEDY = MappingProxyType({**PLAIN, "temperature": 0.0})
COOL = MappingProxyType({**PLAIN, "temperature": 0.9})
NARROW = MappingProxyType({**PLAIN, "top_p": 0.95})

OK, LOSSY = Verdict.NO_DEFECT_FOUND, Verdict.LOSSY


@dataclass(frozen=True)
class ServerAudit:
    """One audit.

    pair : of the models
    speculation : how the audited server speculates
    expected : the verdict on the version that the committed run is of
    settings : that are asked for, and that rows stand behind
    sampled : that are applied in their place; the same if None
    target : whether rows come from transformers, beside a control run of the same server without speculation
    steps : whether bets are made by places in the step too
    requests, tokens : at most, and of each text at most
    """

    pair: str
    speculation: str
    expected: Verdict = OK
    settings: Mapping[str, float] = field(default_factory=lambda: PLAIN)
    sampled: Mapping[str, float] | None = None
    target: bool = False
    steps: bool = False
    requests: int = 32
    tokens: int = 32

    @property
    def name(self) -> str:
        """The audit's name."""
        parts = [self.pair, self.speculation, _words(self.settings)]
        parts += [f"sampled at {_words(self.sampled)}"] if self.sampled else []
        parts += ["rows of transformers"] if self.target else []
        return "; ".join([*parts, *(["by place"] if self.steps else [])])

    @property
    def forced(self) -> float | None:
        """The rate at which drafts are accepted, whatever they are; None if they are verified."""
        return FORCED.get(self.speculation)

    @property
    def flags(self) -> tuple[str, ...]:
        """What the audited server is started with."""
        return SPECULATION[self.speculation]


def _words(settings: Mapping[str, float]) -> str:
    """Settings as far as they are not off."""
    told = {name: value for name, value in settings.items() if name == "temperature" or value != PLAIN[name]}
    return ", ".join(f"{name.replace('_', '-')} {value:g}" for name, value in told.items())


def _right() -> Iterator[ServerAudit]:
    """Servers that should be lossless; for longer where there is most to go wrong."""
    speculations = ("draft, probabilistic", "draft, greedy", "n-gram", "none")
    for speculation in speculations:
        yield ServerAudit("SmolLM2", speculation, requests=64)
    for speculation in speculations:
        yield ServerAudit("SmolLM2", speculation, settings=GREEDY, requests=8, tokens=48)
    for settings in (NUCLEUS, CUT):
        for speculation in speculations:
            requests = 48 if speculation == "draft, probabilistic" else 24
            yield ServerAudit("SmolLM2", speculation, settings=settings, requests=requests)


def _departures() -> Iterator[ServerAudit]:
    """Settings other than those that were asked for, and acceptance by dice."""
    for speculation in ("draft, forced rates", "draft, forced length"):
        yield ServerAudit("SmolLM2", speculation, LOSSY, steps=True, requests=128)
    yield ServerAudit("SmolLM2", "draft, forced rates", LOSSY, requests=128)
    yield ServerAudit("SmolLM2", "draft, probabilistic", LOSSY, sampled=NARROW, requests=128)
    yield ServerAudit("SmolLM2", "draft, probabilistic", LOSSY, sampled=COOL, requests=128)


def _engines() -> Iterator[ServerAudit]:
    """Rows of transformers beside a control run."""
    yield ServerAudit("SmolLM2", "draft, probabilistic", target=True, requests=48)
    yield ServerAudit("SmolLM2", "draft, forced rates", LOSSY, target=True, requests=128)


def _recurrent() -> Iterator[ServerAudit]:
    """Random networks: a target that rolls back by checkpoints, which version 11434 does wrongly, beside another."""
    for pair in ("transformer", "Mamba"):
        for speculation in ("none", "draft, greedy"):
            yield ServerAudit(pair, speculation, requests=24, tokens=64)
        restored = LOSSY if pair == "Mamba" else OK
        for steps in (False, True):
            yield ServerAudit(pair, "draft, probabilistic", restored, steps=steps, requests=24, tokens=64)


AUDITS: Mapping[str, ServerAudit] = MappingProxyType(
    {
        audit.name: audit
        for audit in sorted((*_recurrent(), *_departures(), *_engines(), *_right()), key=lambda one: one.expected is OK)
    }
)
"""All audits by their names, those that find something first: they are the shortest."""
