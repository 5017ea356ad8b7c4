"""Ways to write texts that take turns, and their rates over the first way's: what the decoding benchmarks share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import Any

import numpy as np
import scipy

from veridraft.gpu import BatchDecoder, ModelPair, Request, Sampling
from veridraft.theory import Policy

PHASES = ("draft", "target", "verify", "commit", "prompt")


@dataclass
class Method:
    """A way to write a text; ``write(prompt, seed)`` returns how many tokens it has.  One figure for each text."""

    name: str
    write: Callable[[tuple[int, ...], int], int]
    decoder: BatchDecoder | None = None
    tokens: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)

    def rates(self, prompts: int) -> np.ndarray:
        """(3, prompts) tokens per second, per CPU second and per step after each prompt, over both orders."""
        written, *spent = (
            np.array(values, dtype=float).reshape(2, prompts).sum(axis=0)
            for values in (self.tokens, self.seconds, self.cpu, self.steps or self.tokens)
        )
        return np.stack([written / one for one in spent])


def ours(name: str, pair: ModelPair, verifier: str, policy: Policy | str, sampling: Sampling, tokens: int) -> Method:
    """Our decoder on a pair."""
    decoder = BatchDecoder(pair, verifier, policy, sampling, rows=1)

    def write(prompt: tuple[int, ...], seed: int) -> int:
        return len(decoder.decode([Request(prompt, tokens, seed)])[0].tokens)

    return Method(name, write, decoder)


def run(ways: Sequence[Method], prompts: Sequence[tuple[int, ...]]) -> None:
    """Write all texts, in one order and then in the reverse one, after one warm-up each."""
    for way in ways:
        way.write(prompts[0][:4], 0)
        if way.decoder is not None:
            way.decoder.stopwatch.spans.clear()
            way.decoder.steps = 0
    for order in (ways, ways[::-1]):
        for seed, prompt in enumerate(prompts):
            for way in order:
                begin, begin_cpu = perf_counter(), process_time()
                way.tokens.append(way.write(prompt, seed))
                way.seconds.append(perf_counter() - begin)
                way.cpu.append(process_time() - begin_cpu)
                if way.decoder is not None:
                    way.steps.append(way.decoder.steps - sum(way.steps))
            print(".", end="", file=sys.stderr, flush=True)


def interval(values: np.ndarray) -> np.ndarray:
    """(3,) low end, mean and high end of values of independent prompts: Student's, 95 %."""
    middle, count = values.mean(), len(values)
    half = scipy.stats.t.ppf(0.975, count - 1) * values.std(ddof=1) / np.sqrt(count)
    return np.array([middle - half, middle, middle + half])


def compared(ways: Sequence[Method], prompts: int) -> list[dict[str, Any]]:
    """For each way its rates, and over the first way's the geometric mean over prompts with an interval."""
    base = ways[0].rates(prompts)
    found = []
    for way in ways:
        logs = np.log(way.rates(prompts) / base)
        over = {kind: np.exp(interval(logs[n])).tolist() for n, kind in enumerate(("seconds", "cpu", "steps"))}
        total = sum(way.tokens)
        rates = {"tokens_per_second": total / sum(way.seconds), "tokens_per_cpu_second": total / sum(way.cpu)}
        found.append({"method": way.name, "tokens": total, **rates, "over_first": over} | budget(way))
    return found


def budget(way: Method) -> dict[str, Any]:
    """Of our decoder: tokens a step, and milliseconds of a step by phase; ``prompt`` is its reading, spread."""
    if way.decoder is None:
        return {}
    steps = way.decoder.steps
    seconds = way.decoder.stopwatch.seconds
    spent = {phase: 1000 * seconds[phase] / steps for phase in PHASES if phase in seconds}
    return {"tokens_a_step": sum(way.tokens) / steps, "milliseconds": spent}


def numbers(text: str, kind: Callable[[str], float]) -> list[float]:
    """The numbers of a list with commas."""
    return [kind(one) for one in text.split(",")]


def shown(values: Sequence[float], digits: int = 3) -> str:
    """A value with its interval."""
    low, middle, high = values
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
