"""Defects planted into any procedure: a bias of known size, and a trunk counted K times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from veridraft.theory.pairs.base import MarkovPair
from veridraft.theory.policies.base import DraftLaw
from veridraft.theory.policies.paths import Delayed
from veridraft.theory.rows.distributions import NO_TOKEN, Row, check_count, check_rows, draw

from ...batches.batch import Outcome, Procedure


def biased(procedure: Procedure, epsilon: float, token: int) -> Procedure:
    """A procedure that throws its outcome away with probability ``epsilon`` and emits one fixed token instead.

    epsilon : in [0, 1]; token : in [0, V), emitted as if nothing had been accepted.  The law of completed
    strings is then ``(1 - epsilon) target + epsilon (token first, the target behind it)``: see
    :func:`bias_total_variation`.  The mean acceptance length is ``1 - epsilon`` times what it was.
    Raises ``ValueError`` for an epsilon outside [0, 1] or a negative token, and, once it runs, for a token
    outside the vocabulary.
    """
    _check_share("epsilon", epsilon)
    check_count("token", token, 0)

    def run(
        target: ArrayLike, draft: ArrayLike, paths: ArrayLike, rng: np.random.Generator, trunk: int = 0
    ) -> Outcome:
        size = np.shape(target)[-1]
        if token >= size:
            raise ValueError(f"token must lie in [0, {size}), but is {token}")
        outcome = procedure(target, draft, paths, rng, trunk=trunk)
        thrown = rng.random(len(outcome.accepted)) < epsilon
        only = np.where(np.arange(outcome.tokens.shape[1]) == 0, token, NO_TOKEN)
        return Outcome(
            np.where(thrown, 0, outcome.accepted), np.where(thrown[:, None], only, outcome.tokens)
        )

    run.__name__ = f"biased_{_name(procedure)}"
    return run


def bias_total_variation(epsilon: float, token: int, target_row: ArrayLike) -> float:
    """The total variation over completed strings that :func:`biased` gives a lossless procedure, in [0, 1].

    ``epsilon (1 - p)``, with p the probability of the token in the target's row (V,) at the root: the planted
    part differs from the target in the first token only.  Exact.
    """
    row = check_rows("target_row", target_row, ndim=1)
    return _check_share("epsilon", epsilon) * (1.0 - float(row[token]))


def trunk_counted_k_times(procedure: Procedure) -> Procedure:
    """A procedure that takes each trunk draw for K independent draws that happened to agree.

    Row 43 of the list of defects: lossy for SpecTr and lifted K-SEQ, for SpecInfer and lifted recursive
    rejection on some pairs, never for NSS, NaiveTree and traversal, which do not look at multiplicity.
    """

    def run(
        target: ArrayLike, draft: ArrayLike, paths: ArrayLike, rng: np.random.Generator, trunk: int = 0
    ) -> Outcome:
        return procedure(target, draft, paths, rng, trunk=0)

    run.__name__ = f"{_name(procedure)}_trunk_counted_k_times"
    return run


@dataclass(frozen=True, repr=False)
class TrunkCountedKTimes(Delayed):
    """The policy of :func:`trunk_counted_k_times`, for a certificate: trunk lists hold one drawn token K times.

    The trees are those of ``Delayed(K, L1, L2)``, with their probabilities; only the multiplicity on the trunk
    is wrong.  No verifier is lossless for it: ``certify`` takes it with ``any_policy=True``, and ``simulate`` with
    a procedure in place of a name.
    """

    @property
    def name(self) -> str:
        """The call that builds the policy."""
        return f"TrunkCountedKTimes({self.K}, {self.L1}, {self.L2})"

    @property
    def draft_laws(self) -> frozenset[DraftLaw]:
        """None: K copies of one draw are not K draws."""
        return frozenset()

    def draws(self, state: Any) -> int:
        """K in the trunk too."""
        paths, trunk, branch = state
        return paths if trunk or branch else 0

    def list_law(self, state: Any, draft_row: Row) -> Iterator[tuple[Any, tuple[int, ...]]]:
        """One draw in the trunk, listed K times."""
        paths, trunk, _ = state
        if not trunk:
            yield from super().list_law(state, draft_row)
            return
        for token in np.flatnonzero(draft_row).tolist():
            yield draft_row[token], (token,) * paths

    def draw_list(self, state: Any, draft_row: Row, rng: np.random.Generator) -> tuple[int, ...]:
        """One draw in the trunk, listed K times."""
        paths, trunk, _ = state
        if not trunk:
            return super().draw_list(state, draft_row, rng)
        return (int(draw(draft_row, rng.random(1))[0]),) * paths


def specinfer_trunk_pair() -> MarkovPair:
    """A pair of four tokens on which a trunk counted K times makes SpecInfer lossy, in Fractions.

    The same rows at every context: target (1, 3, 3, 3) / 10, draft (5, 1, 2, 2) / 10.  Three tokens survive the
    first residual, (1/2, 1/4, 1/4), and the second rejection of the same draw moves it to (4/5, 1/10, 1/10): total
    variation 3/25 at K = 2, 1/5 at K = 3.  Found by search, as the largest at K = 2 with denominator 10.
    """
    target, draft = (np.array([Fraction(part, 10) for part in parts]) for parts in ((1, 3, 3, 3), (5, 1, 2, 2)))
    return MarkovPair(np.stack([target] * 4), np.stack([draft] * 4))


def _check_share(name: str, share: float) -> float:
    if not 0 <= share <= 1:
        raise ValueError(f"{name} must lie in [0, 1], but is {share}")
    return share


def _name(procedure: Procedure) -> str:
    return getattr(procedure, "__name__", type(procedure).__name__)
