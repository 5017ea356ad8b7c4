"""The cross-check: decode with every verifier, and hold what is measured against what the law says.

One text at a time; otherwise a suite of a person's own choice (:mod:`.suite`): one cell for each verifier, finished
cells in a file, so that a killed run goes on where it stopped.  A row depends on the seed and its own settings alone:
it is the same whatever else is run, and whether the run was interrupted or not.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from veridraft.theory.policies.base import Policy
from veridraft.theory.verifiers.fitting import fitting_policy
from veridraft.theory.verifiers.table import VERIFIERS

from ..decoding.drafting.n_gram import any_policy
from ..files.kinds import CrosscheckFile
from ..models.machine import machine_of
from ..models.pairs import ModelPair
from ..models.prompts import prompts_of
from ..trees.sampling import Sampling
from ..verification.theory_route import too_large
from .cells import SuiteCell, distinct
from .suite import CellVerdict, SuitePlan, finish

OWN = "own"
"""The name of a suite whose cells a person chose."""


Policies = Policy | str | Mapping[str, Policy | str]
"""A policy or its text, or one for each verifier."""


@dataclass(frozen=True)
class Crosscheck:
    """The rows of a run, in the order of its verifiers, and the file that holds them (``None`` if none does).

    A row has ``verifier``, ``policy``, ``temperature``, ``top_p``, ``steps`` (target passes), ``measured`` and
    ``predicted`` (mean of tau + 1 over the ``compared`` passes, every other one), ``difference`` and the ``interval``
    it should lie in, at ``level``; over all passes ``measured_all``, ``z``, ``z_draft``, ``z_text`` (``None`` where
    ``notes`` says why), ``tokens_per_second`` and ``verdict``.
    """

    rows: tuple[dict[str, Any], ...]
    path: Path | None

    @property
    def verdict(self) -> CellVerdict:
        """AGREES if every row does."""
        agreed = all(row["verdict"] == CellVerdict.AGREES.value for row in self.rows)
        return CellVerdict.AGREES if agreed else CellVerdict.DISAGREES


def crosscheck(
    pair: ModelPair,
    verifiers: Sequence[str] | None = None,
    policy: Policies = "Iid(4, 3)",
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    steps: int = 300,
    seed: int = 0,
    out: str | Path | None = None,
    command: str | None = None,
    prompts: Sequence[Any] | None = None,
    max_new_tokens: int = 96,
) -> Crosscheck:
    """Measured against predicted: one row per verifier, from ``steps`` target passes of real decoding, at least 6.

    verifiers : names out of the theory's table; ``None`` is all of it, or of the mapping ``policy``, but for those
        that list every child list where the vocabulary is too large for that (:func:`.too_large`)
    policy : a policy or its name, or a mapping from every verifier to one.  A verifier that is not lossless for
        it runs on one of the same depth that it is lossless for (:func:`.fitting_policy`)
    out : a folder for ``crosscheck.jsonl``; rows that it already holds are not run again
    command : what a person typed, recorded in the file
    prompts : texts or token ids, used in turn until the passes are spent; those of :func:`.prompts_of` by default

    Raises ``ValueError`` for unknown verifiers, policies that do not fit, settings out of range, or a folder
    that holds a run with other settings; ``FloatingPointError`` if a logit is not finite.
    """
    texts = prompts_of(pair) if prompts is None else tuple(map(pair.encode, prompts))
    plan = crosscheck_plan(verifiers, policy, temperature, top_p, steps, seed, texts, max_new_tokens)
    plan = replace(plan, cells=tuple(_small_enough(plan.cells, pair.vocabulary_size)))
    settings, command = plan.settings(pair), command or " ".join(sys.argv)
    *_, (_, _, file) = finish(CrosscheckFile.open(out, command, settings, machine_of(pair.device)), pair, plan)
    return Crosscheck(file.rows, file.path)


def crosscheck_plan(
    verifiers: Sequence[str] | None,
    policy: Policies,
    temperature: float,
    top_p: float,
    steps: int,
    seed: int,
    prompts: tuple[tuple[int, ...], ...] = ((0,),),
    max_new_tokens: int = 96,
) -> SuitePlan:
    """What :func:`crosscheck` does with these arguments whatever the pair is; raises as it does."""
    sampling = Sampling(temperature=temperature, top_p=top_p)
    names = distinct("verifiers", _all_of(policy) if verifiers is None else verifiers)
    return SuitePlan(OWN, tuple(_cells(names, policy, sampling)), prompts, steps, 1, seed, max_new_tokens)


def _all_of(policy: Policies) -> Sequence[str]:
    """The verifiers of the mapping, or of the theory's table."""
    return tuple(policy if isinstance(policy, Mapping) else VERIFIERS)


def _cells(names: Sequence[str], policy: Policies, sampling: Sampling) -> Iterator[SuiteCell]:
    """A cell for each verifier."""
    for name in names:
        asked = policy[name] if isinstance(policy, Mapping) else policy
        yield SuiteCell(name, fitting_policy(name, any_policy(asked)), sampling)


def _small_enough(cells: Sequence[SuiteCell], vocabulary_size: int) -> Iterator[SuiteCell]:
    """The cells, but for those that are too large, of which it says so."""
    for cell in cells:
        reason = too_large(cell.verifier, cell.policy, vocabulary_size)
        if reason:
            print(f"left out: {reason}", file=sys.stderr)
        else:
            yield cell
