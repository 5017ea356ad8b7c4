"""How far drafts survive, exactly, for every verifier and delayed tree on a family of synthetic pairs."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from veridraft.theory.efficiency.delayed import reach_by_action
from veridraft.theory.efficiency.dynamic import dynamic_block_efficiency
from veridraft.theory.efficiency.joint_laws import JOINT_LAWS
from veridraft.theory.pairs.base import Pair
from veridraft.theory.pairs.layered import LayeredPair
from veridraft.theory.policies.base import DraftLaw
from veridraft.theory.policies.paths import Chain, Delayed
from veridraft.theory.rows.distributions import Row, check_count, total_variation
from veridraft.theory.verifiers.lifts import top_down
from veridraft.theory.verifiers.table import VERIFIERS, get_verifier

ACCEPTANCES = tuple(round(0.3 + 0.05 * step, 2) for step in range(14))
PARTINGS = (0.0, 0.05, 0.15)
TEMPERATURES = (0.5, 0.75, 1.0, 1.25)

EXPONENT = 2
"""The target's token of rank r has the weight r ** -EXPONENT."""

LEAST_TOKENS = 4
"""A smaller vocabulary has no pair of the family for the lowest acceptance."""

UNITS = 2**24 - 1
"""A probability is written as so many parts of 1: three bytes, so that it is true to 3e-8."""


def synthetic_pair(
    vocabulary_size: int, acceptance: float, parting: float, temperature: float, depth: int
) -> LayeredPair:
    """The pair of the family, with rows that depend on depth alone.

    The draft's row is the target's mixed with the target's in reverse order.  ``acceptance`` is what both have in
    common at the root, at temperature 1: there a single draft is accepted so often; with each level the share of the
    reversed row grows by ``parting``, up to 1.
    """
    weights = np.arange(1.0, vocabulary_size + 1) ** -EXPONENT
    target = weights / weights.sum()
    share = (1 - acceptance) / float(total_variation(target, target[::-1]))
    if not 0 <= share <= 1:
        raise ValueError(f"acceptance {acceptance} is below what {vocabulary_size} tokens of the family can have")
    shares = [min(1.0, share + parting * level) for level in range(depth + 1)]
    layers = [(target, (1 - part) * target + part * target[::-1]) for part in shares]
    return LayeredPair(layers).transformed(temperature=temperature)


def survival(verifier: str, pair: Pair, paths: int, depth: int) -> Row:
    """(K, L, L + 1) the probability that tau >= d, at [k - 1, L1, d], of ``Delayed(k, L1, L - L1)``, exact.

    Nothing that is drafted below depth d changes it, so that the entries up to L1 + L2 are those of any shorter tree.
    A verifier of single paths has K = 1.
    """
    entry = get_verifier(verifier)
    if entry.draft_laws == {DraftLaw.SINGLE}:
        return np.broadcast_to(_reach(verifier, pair, Chain(depth)), (1, depth, depth + 1))
    if entry.lift is top_down and entry.solver in JOINT_LAWS:
        return reach_by_action(entry, pair, paths, depth)
    trees = [[Delayed(k, trunk, depth - trunk) for trunk in range(depth)] for k in range(1, paths + 1)]
    return np.array([[_reach(verifier, pair, tree) for tree in row] for row in trees])


def _reach(verifier: str, pair: Pair, policy: Delayed) -> Row:
    return dynamic_block_efficiency(verifier, policy, pair).reach


@dataclass(frozen=True)
class Grid:
    """Which pairs, verifiers and trees the page knows.

    verifiers : of the table, lossless for i.i.d. paths or for single ones; paths, depth : the most of K and L1 + L2
    """

    verifiers: tuple[str, ...]
    paths: int = 4
    depth: int = 6
    vocabulary_size: int = 4
    acceptances: tuple[float, ...] = ACCEPTANCES
    partings: tuple[float, ...] = PARTINGS
    temperatures: tuple[float, ...] = TEMPERATURES

    def __post_init__(self) -> None:
        check_count("paths", self.paths, 1)
        check_count("depth", self.depth, 1)
        check_count("vocabulary", self.vocabulary_size, LEAST_TOKENS)
        for name in self.verifiers:
            if name not in VERIFIERS:
                raise ValueError(f"verifier {name!r} is not of the table: one tree could not stand for all depths")
            if not any(get_verifier(name).supports(policy) for policy in (Chain(1), Delayed(2, 1, 1))):
                raise ValueError(f"verifier {name!r} is lossless for no delayed tree: the page draws no others")

    @property
    def points(self) -> list[tuple[float, float, float]]:
        """Acceptance, parting and temperature of every pair."""
        return list(product(self.acceptances, self.partings, self.temperatures))

    def pair(self, point: tuple[float, float, float]) -> LayeredPair:
        """The pair of a point."""
        return synthetic_pair(self.vocabulary_size, *point, self.depth)

    def measure(self) -> Iterator[tuple[tuple[float, float, float], bytes]]:
        """Every point with its numbers: what the rows have in common at the root, and all survivals."""
        for point in self.points:
            pair = self.pair(point)
            common = [1 - float(total_variation(pair.target_row(()), pair.draft_row(())))]
            tables = [packed(survival(name, pair, self.paths, self.depth)) for name in self.verifiers]
            yield point, written(np.concatenate([common, *tables]))


def packed(reach: Row) -> Row:
    """The entries of a table of :func:`survival` that tell something, in a row.

    First those of a chain, d = 1 .. L; then for k = 2 .. K and L1 = 0 .. L - 1 those behind the trunk, d = L1 + 1 .. L.
    """
    parts = [reach[0, 0, 1:]]
    parts += [reach[k, trunk, trunk + 1 :] for k in range(1, len(reach)) for trunk in range(reach.shape[1])]
    return np.concatenate(parts)


def written(values: Row) -> bytes:
    """Probabilities as three bytes each, the highest first."""
    units = np.rint(np.clip(values, 0, 1) * UNITS).astype(">u4")
    return units.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()


def as_text(blocks: list[bytes]) -> str:
    """The numbers of all points, in base 64."""
    return base64.b64encode(b"".join(blocks)).decode()
