"""Random trials: draw trees, run a procedure on them, complete what it emits, and keep the counts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TextIO

import numpy as np

from veridraft.theory.pairs.base import Pair
from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Delayed
from veridraft.theory.rows.distributions import check_count
from veridraft.theory.rows.trees import Context
from veridraft.theory.verifiers.table import Verifier, get_verifier

from ..batches.batch import Procedure, check_outcome
from ..batches.intervals import Progress, bernstein_half_width, check_level
from ..batches.row_tables import RowTables, check_policy, complete, draw_batch, tabulate
from ..batches.rows import Floats, Ints
from ..procedures.table import get_procedure

CHUNK = 100_000
"""Trials that are run at once; each chunk has a random stream of its own."""

@dataclass(frozen=True, eq=False)
class Simulation:
    """The counts of a finished run.

    Fields
    ------
    verifier : the procedure's name
    policy : the tree policy
    vocabulary_size : V
    seed : from which all randomness came
    string_counts : (V ** (L + 1),) int64, how often each completed string came out; a string's place is its
        tokens read as the digits of a number to base V
    depth_counts : (L + 1,) int64, how often 0, 1, ..., L draft tokens were accepted
    context : the root context
    """

    verifier: str
    policy: Policy
    vocabulary_size: int
    seed: int
    string_counts: Ints
    depth_counts: Ints
    context: Context = ()

    @property
    def trials(self) -> int:
        """T, the number of trials counted."""
        return int(self.depth_counts.sum())

    @property
    def by_depth(self) -> Floats:
        """(L + 1,) the share of trials that accepted 0, 1, ..., L draft tokens."""
        return self.depth_counts / self.trials

    @property
    def mean_acceptance_length(self) -> float:
        """The mean of tau, accepted draft tokens per trial, in [0, L]."""
        return float(self.by_depth @ np.arange(len(self.depth_counts)))

    @property
    def block_efficiency(self) -> float:
        """The mean of tau + 1, emitted tokens per trial, in [1, L + 1]."""
        return self.mean_acceptance_length + 1.0

    @cached_property
    def variance(self) -> float:
        """The unbiased sample variance of tau; needs two trials (``ValueError``)."""
        if self.trials < 2:
            raise ValueError(f"a variance needs at least 2 trials, but there is {self.trials}")
        squares = float(self.by_depth @ (np.arange(len(self.depth_counts)) - self.mean_acceptance_length) ** 2)
        return squares * self.trials / (self.trials - 1)

    @property
    def standard_error(self) -> float:
        """The standard error of ``mean_acceptance_length``."""
        return float(np.sqrt(self.variance / self.trials))

    def confidence_interval(self, level: float = 0.95) -> tuple[float, float]:
        """An interval for the mean of tau that covers it with probability at least ``level``, at any T >= 2.

        Empirical Bernstein bound (0907.3740, Theorem 4) for values in [0, L], both sides; cut to [0, L].
        Wider than a normal interval, and never short of its level.
        """
        longest = len(self.depth_counts) - 1
        half = bernstein_half_width(self.variance, self.trials, longest, check_level("level", level))
        return max(0.0, self.mean_acceptance_length - half), min(longest, self.mean_acceptance_length + half)

    def frequency(self, string: Context) -> float:
        """The share of trials whose completed string is the given one, L + 1 tokens.

        Raises ``ValueError`` for a string of another length or with a token outside the vocabulary.
        """
        length, size = len(self.depth_counts), self.vocabulary_size
        if len(string) != length or not all(0 <= token < size for token in string):
            raise ValueError(f"string must be {length} tokens in [0, {size}), but is {string}")
        return float(self.string_counts[np.ravel_multi_index(string, (size,) * length)] / self.trials)


class SimulationInterrupted(KeyboardInterrupt):
    """A run was interrupted (Ctrl-C); ``partial`` holds the chunks that were finished.

    It is a ``KeyboardInterrupt``, so that a script that does not care stops as usual.  ``partial`` is a
    :class:`Simulation` that counts only what was done, or ``None`` if no chunk was.
    """

    def __init__(self, partial: Simulation | None) -> None:
        done = partial.trials if partial else 0
        super().__init__(f"interrupted after {done} trials; they are kept in .partial")
        self.partial = partial


def simulate(
    verifier: str | Verifier | Procedure,
    policy: Policy,
    pair: Pair,
    trials: int,
    seed: int = 0,
    progress: Progress | None = None,
    *,
    context: Context = (),
    chunk: int = CHUNK,
) -> Simulation:
    """The counts of ``trials`` random trials of a verifier with a policy on a pair.

    Parameters
    ----------
    verifier : a name or an entry of ``VERIFIERS``, whose policy must be one that it is lossless for; or a
        procedure, sound or broken, which is run on any of Chain, Iid, Delayed
    trials : T >= 1
    seed : an integer >= 0; equal arguments give equal counts.  Chunk i has its own stream, so the first chunks
        of a longer run are those of a shorter one
    progress : told after each chunk (trials done, trials asked for); see :func:`progress_bar`
    context : the root
    chunk : trials at once; memory grows with it

    Raises ``ValueError`` for an unknown verifier, a policy it is not lossless for, strings too many to count
    (above 1,000,000), and what a procedure returns that is no outcome; ``TypeError`` for a policy that does not
    draw paths; ``SimulationInterrupted`` on Ctrl-C, with what was finished.
    """
    name, procedure = _named_procedure(verifier, policy)
    asked, size = check_count("trials", trials, 1), check_count("chunk", chunk, 1)
    paths, tables = check_policy(policy), tabulate(pair, policy.depth, context)
    counts = np.zeros(pair.vocabulary_size ** (policy.depth + 1), dtype=np.int64)
    depths = np.zeros(policy.depth + 1, dtype=np.int64)
    empty = Simulation(name, policy, pair.vocabulary_size, check_count("seed", seed, 0), counts, depths, context)
    finished = empty
    try:
        for part, rng in _chunks(asked, size, seed):
            finished = _add(finished, *_run(procedure, paths, tables, part, rng))
            if progress:
                progress(finished.trials, asked)
    except KeyboardInterrupt:
        raise SimulationInterrupted(finished if finished is not empty else None) from None
    return finished


def progress_bar(stream: TextIO | None = None, width: int = 40) -> Progress:
    """A progress function that redraws one line of ``stream`` (standard error), ended when all is done."""
    out = stream or sys.stderr

    def show(done: int, asked: int) -> None:
        filled = width * done // asked
        line = f"\r[{'#' * filled}{'.' * (width - filled)}] {done:,} of {asked:,} trials"
        out.write(line + ("\n" if done >= asked else ""))
        out.flush()

    return show


def _named_procedure(verifier: str | Verifier | Procedure, policy: Policy) -> tuple[str, Procedure]:
    """The procedure and its name; one that is named must be lossless for the policy."""
    if isinstance(verifier, (str, Verifier)):
        entry = get_verifier(verifier)
        entry.require(policy)
        return entry.name, get_procedure(entry.name)
    if not callable(verifier):
        raise TypeError(f"verifier must be a name, an entry of VERIFIERS or a procedure, but is {verifier!r}")
    return getattr(verifier, "__name__", type(verifier).__name__), verifier


def _chunks(trials: int, size: int, seed: int) -> Iterator[tuple[int, np.random.Generator]]:
    """The size and the random stream of every chunk."""
    for index, start in enumerate(range(0, trials, size)):
        stream = np.random.SeedSequence(seed, spawn_key=(index,))
        yield min(size, trials - start), np.random.default_rng(stream)


def _run(
    procedure: Procedure, policy: Delayed, tables: RowTables, trials: int, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """The counts of one chunk: strings, depths."""
    batch = draw_batch(tables, policy, trials, rng)
    outcome = check_outcome(procedure(batch.target, batch.draft, batch.paths, rng, trunk=batch.trunk), batch)
    strings = complete(tables, outcome.accepted, outcome.tokens, rng)
    return (
        np.bincount(strings, minlength=tables.vocabulary_size ** (tables.depth + 1)),
        np.bincount(outcome.accepted, minlength=tables.depth + 1),
    )


def _add(run: Simulation, strings: Ints, depths: Ints) -> Simulation:
    return replace(run, string_counts=run.string_counts + strings, depth_counts=run.depth_counts + depths)
