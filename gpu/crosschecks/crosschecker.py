"""The cross-check: decode with every verifier, and hold what is measured against what the law says.

Each verifier makes one row.  Finished rows are written at once, so that a killed run goes on where it
stopped.  The streams of a row depend on the seed and the verifier's name alone: a row is the same whether
the run was interrupted or not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from time import monotonic
from typing import Any
from zlib import crc32

import numpy as np

from veridraft.theory.policies.base import Chain, Policy, parse_policy
from veridraft.theory.policies.top_plus_one import HubPairs, TopPlusOne
from veridraft.theory.verifiers.table import VERIFIERS, get_verifier

from ..decoding.single import Decoder, Request, Step
from ..models.machine import machine
from ..models.pairs import ModelPair
from ..models.prompts import PROMPTS
from ..trees.sampling import Sampling
from ..verification.theory_route import too_large
from .prediction import NO_COMPARISON, Comparison, RootPrediction, predict_root
from .run_file import RunFile
from .scores import NO_SCORE, Score, draft_score, text_score

THRESHOLD = 4.0
"""A score fails beyond this: a false alarm in 16,000 for each score that is right."""

LEVEL = 0.99
"""The level of all intervals of a run together; it is split over the rows."""


class Verdict(Enum):
    """What a row of a cross-check says."""

    AGREES = "agrees"
    DISAGREES = "disagrees"


@dataclass(frozen=True)
class Plan:
    """Everything that determines the rows of a run, checked when it is made; ``policies`` go with ``verifiers``."""

    verifiers: tuple[str, ...]
    policies: tuple[Policy, ...]
    sampling: Sampling
    steps: int
    seed: int
    prompts: tuple[Any, ...]
    max_new_tokens: int
    trees_per_root: int = 2

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, but is {self.steps}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, but is {self.seed}")
        if not self.verifiers or len(set(self.verifiers)) != len(self.verifiers):
            raise ValueError(f"verifiers must be distinct, and at least one, but are {self.verifiers}")
        if not self.prompts:
            raise ValueError("prompts must hold at least one prompt")

    @property
    def row_level(self) -> float:
        """The level of one row's interval."""
        return 1 - (1 - LEVEL) / len(self.verifiers)

    def settings(self, pair: ModelPair) -> dict[str, Any]:
        """What a run in a file must agree in before it is continued."""
        return {
            **pair.traits,
            "verifiers": list(self.verifiers),
            "policies": [policy.name for policy in self.policies],
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
            "steps": self.steps,
            "seed": self.seed,
            "trees_per_root": self.trees_per_root,
            "level": LEVEL,
            "max_new_tokens": self.max_new_tokens,
            "prompts": [prompt if isinstance(prompt, str) else list(prompt) for prompt in self.prompts],
        }


@dataclass(frozen=True)
class Crosscheck:
    """The rows of a run, in the order of its verifiers, and the file that holds them (``None`` if none does).

    A row has ``verifier``, ``policy``, ``temperature``, ``top_p``, ``steps`` (target passes), ``measured`` and
    ``predicted`` (mean of tau + 1 per pass), ``difference`` and the ``interval`` it should lie in, at ``level``;
    ``z``, ``z_draft``, ``z_text`` (``None`` where ``notes`` says why), ``tokens_per_second`` and ``verdict``.
    """

    rows: tuple[dict[str, Any], ...]
    path: Path | None

    @property
    def verdict(self) -> Verdict:
        """AGREES if every row does."""
        agreed = all(row["verdict"] == Verdict.AGREES.value for row in self.rows)
        return Verdict.AGREES if agreed else Verdict.DISAGREES


def crosscheck(
    pair: ModelPair,
    verifiers: Sequence[str] | None = None,
    policy: Policy | str | Mapping[str, Policy | str] = "Iid(4, 3)",
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    steps: int = 300,
    seed: int = 0,
    out: str | Path | None = None,
    command: str | None = None,
    prompts: Sequence[Any] = PROMPTS,
    max_new_tokens: int = 96,
) -> Crosscheck:
    """Measured against predicted: one row per verifier, from ``steps`` target passes of real decoding.

    verifiers : names out of the theory's table; ``None`` is all of it, or of the mapping ``policy``, but for those
        that list every child list where the vocabulary is too large for that (:func:`.too_large`)
    policy : a policy or its name, or a mapping from every verifier to one.  A verifier that is not lossless for
        it runs on a chain, on top tokens with one draw, or on hub pairs, of the same depth
    out : a folder for ``crosscheck.json``; rows that it already holds are not run again
    command : what a person typed, recorded in the file
    prompts : texts, or token ids for a pair without tokenizer; used in turn until the passes are spent

    Raises ``ValueError`` for unknown verifiers, policies that do not fit, settings out of range, or a folder
    that holds a run with other settings; ``FloatingPointError`` if a logit is not finite.
    """
    names = tuple(verifiers if verifiers is not None else _all_that_run(policy, pair.vocabulary_size))
    policies = tuple(_fitting(name, policy[name] if isinstance(policy, Mapping) else policy) for name in names)
    sampling = Sampling(temperature=temperature, top_p=top_p)
    plan = Plan(names, policies, sampling, steps, seed, tuple(prompts), max_new_tokens)
    for prompt in plan.prompts:
        pair.encode(prompt)
    file = RunFile.open(out, command or " ".join(sys.argv), plan.settings(pair))
    for name, fitting in zip(names, policies, strict=True):
        if name not in file.finished:
            file.add(measure(pair, name, fitting, plan) | {"machine": machine()})
    return Crosscheck(tuple(file.finished[name] for name in names), file.path)


def _all_that_run(policy: Policy | str | Mapping[str, Policy | str], vocabulary_size: int) -> Iterator[str]:
    """The verifiers of the mapping or of the table, but for those that are too large, of which it says so."""
    given = policy if isinstance(policy, Mapping) else dict.fromkeys(VERIFIERS, policy)
    for name, one in given.items():
        reason = too_large(name, _fitting(name, one), vocabulary_size)
        if reason:
            print(f"left out: {reason}", file=sys.stderr)
        else:
            yield name


def _fitting(name: str, policy: Policy | str) -> Policy:
    """The policy itself where the verifier is lossless for it, else the first of :func:`_instead` that it takes."""
    wanted = parse_policy(policy) if isinstance(policy, str) else policy
    verifier = get_verifier(name)
    fitting = next((one for one in (wanted, *_instead(wanted.depth)) if verifier.supports(one)), wanted)
    verifier.require(fitting)
    return fitting


def _instead(depth: int) -> tuple[Policy, ...]:
    """Policies of a depth for verifiers that take none with independent draws."""
    return Chain(depth), TopPlusOne(2, depth), HubPairs(depth)


@dataclass
class _Tally:
    """What a row keeps of its steps."""

    coins: Score = NO_SCORE
    drafts: Score = NO_SCORE
    comparison: Comparison = NO_COMPARISON
    emitted: int = 0
    nodes: int = 0
    seconds: float = 0.0

    def add(self, decoder: Decoder, prediction: RootPrediction, step: Step) -> None:
        law = get_verifier(decoder.verifier).law(step.tree.to_theory())
        self.coins = self.coins.plus(step.tau - float(law.acceptance_length), float(law.variance))
        self.drafts = draft_score(self.drafts, step, decoder.policy)
        self.comparison = self.comparison.plus(step.tau, prediction)
        self.emitted += len(step.emitted)
        self.nodes += step.tree.size
        self.seconds += step.seconds


def measure(pair: ModelPair, verifier: str, policy: Policy, plan: Plan) -> dict[str, Any]:
    """One row: ``plan.steps`` target passes with one verifier, predicted and scored."""
    streams = np.random.default_rng([plan.seed, crc32(verifier.encode())]).spawn(2)
    decoder = Decoder(pair, verifier, policy, plan.sampling, streams[0])
    tally, requests, progress = _Tally(), list[Request](), _Progress(verifier, plan.steps)
    while decoder.steps < plan.steps:
        if not requests or requests[-1].done:
            prompt = plan.prompts[len(requests) % len(plan.prompts)]
            requests.append(decoder.start(prompt, plan.max_new_tokens))
        prediction = predict_root(decoder, requests[-1], streams[1], plan.trees_per_root)
        tally.add(decoder, prediction, decoder.step(requests[-1]))
        progress.report(decoder.steps)
    return _row(verifier, policy, plan, tally, _text_score(pair, plan.sampling, requests), len(requests))


def _text_score(pair: ModelPair, sampling: Sampling, requests: Sequence[Request]) -> Score:
    """The score of all texts of a row."""
    score = NO_SCORE
    for request in requests:
        more = text_score(pair, sampling, request.prompt, request.text)
        score = score.plus(more.total, more.variance, more.count)
    return score


def _row(verifier: str, policy: Policy, plan: Plan, tally: _Tally, texts: Score, count: int) -> dict[str, Any]:
    """The row as the file holds it."""
    scores = {"z": tally.coins, "z_draft": tally.drafts, "z_text": texts}
    compared, level = tally.comparison, plan.row_level
    agrees = compared.holds(level) and all(score.holds(THRESHOLD) for score in scores.values())
    return {
        "verifier": verifier,
        "policy": policy.name,
        "temperature": plan.sampling.temperature,
        "top_p": plan.sampling.top_p,
        "steps": plan.steps,
        "measured": compared.measured / plan.steps + 1,
        "predicted": compared.predicted / plan.steps + 1,
        "difference": compared.difference,
        "interval": list(compared.interval(level)),
        "level": level,
        **{name: score.z for name, score in scores.items()},
        "notes": {name: score.note for name, score in scores.items() if score.note},
        "verdict": (Verdict.AGREES if agrees else Verdict.DISAGREES).value,
        "tokens_per_second": tally.emitted / tally.seconds,
        "emitted_tokens": tally.emitted,
        "text_tokens": texts.count,
        "drawn_tokens": tally.drafts.count,
        "mean_tree_size": tally.nodes / plan.steps,
        "texts": count,
        "decoding_seconds": tally.seconds,
    }


class _Progress:
    """A line on standard error every tenth of the passes."""

    def __init__(self, name: str, steps: int) -> None:
        self.name, self.steps, self.begin = name, steps, monotonic()

    def report(self, done: int) -> None:
        if done * 10 // self.steps > (done - 1) * 10 // self.steps:
            spent = monotonic() - self.begin
            left = spent / done * (self.steps - done)
            print(f"{self.name}: {done}/{self.steps} passes, {left:.0f} s left", file=sys.stderr, flush=True)
