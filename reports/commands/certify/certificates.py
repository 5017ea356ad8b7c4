"""Certificates over many random instances: every verifier with every policy that it supports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from veridraft.theory.policies.base import Policy
from veridraft.theory.verifiers.certificates import Certificate, certify
from veridraft.theory.verifiers.table import get_verifier

from ...running.progress import Progress
from ...running.store import Store, make_key
from ..report.data import CertificateRow
from .instances import Instance


@dataclass(frozen=True)
class Cell:
    """One piece of work: an instance with a policy, and the verifiers that support it."""

    instance: Instance
    policy: Policy
    verifiers: tuple[str, ...]

    @property
    def trees(self) -> int:
        """The number of trees when every draft row has full support."""
        return self.policy.tree_count(self.instance.vocabulary_size)

    def key(self, seed: int) -> str:
        """The key of the finished piece."""
        names = ",".join(self.verifiers)
        return make_key("certificates", pair=self.instance.index, seed=seed, policy=self.policy.name, verifiers=names)

    def run(self, seed: int) -> dict[str, Any]:
        """Every verifier's certificate in rational arithmetic and in float64, as JSON values."""
        pair = self.instance.pair(seed)
        results, trees = {}, 0
        for verifier in self.verifiers:
            rational = certify(verifier, self.policy, pair, "rational")
            floating = certify(verifier, self.policy, pair, "float")
            trees = rational.trees
            results[verifier] = [str(rational.total_variation), float(floating.total_variation), _difference(rational)]
        return {"kind": self.instance.kind, "V": self.instance.vocabulary_size, "trees": trees, "results": results}


def cells(pairs: int, verifiers: Sequence[str], most_trees: int) -> list[Cell]:
    """The cells of the first ``pairs`` instances with at most ``most_trees`` trees, small ones first."""
    found = []
    for instance in map(Instance.number, range(pairs)):
        for policy in instance.policies:
            able = tuple(name for name in verifiers if get_verifier(name).supports(policy))
            if able:
                found.append(Cell(instance, policy, able))
    return sorted((cell for cell in found if cell.trees <= most_trees), key=lambda cell: cell.trees)


def _difference(certificate: Certificate) -> str:
    """The first string that came out wrong, in words; empty if none did."""
    first = certificate.first_difference
    if first is None:
        return ""
    return (
        f"{certificate.verifier} with {certificate.policy}: the string {first.string} has probability "
        f"{first.observed}, not {first.expected}"
    )


def run_certificates(wanted: Sequence[Cell], seed: int, store: Store) -> None:
    """Make the certificates that are not yet in the store, one piece per cell."""
    progress = Progress("certificates", len(wanted))
    for cell in wanted:
        store.piece(cell.key(seed), lambda cell=cell: cell.run(seed))  # type: ignore[misc]
        instance = cell.instance
        progress.step(f"pair {instance.index} ({instance.kind}), |V| = {instance.vocabulary_size}, {cell.policy}")
    progress.close()


def read_certificates(wanted: Iterable[Cell], seed: int, store: Store) -> tuple[CertificateRow, ...]:
    """One row per verifier over its finished certificates."""
    found: dict[str, list[tuple[Policy, int, list[Any]]]] = {}
    for cell in wanted:
        value = store.get(cell.key(seed)) or {"results": {}}
        for verifier, result in value["results"].items():
            found.setdefault(verifier, []).append((cell.policy, value["trees"], result))
    return tuple(_row(verifier, results) for verifier, results in found.items())


def _row(verifier: str, found: Sequence[tuple[Policy, int, list[Any]]]) -> CertificateRow:
    return CertificateRow(
        verifier=verifier,
        policies=tuple(sorted({type(policy).__name__ for policy, _, _ in found})),
        certificates=len(found),
        trees=sum(trees for _, trees, _ in found),
        rational=str(max(Fraction(result[0]) for _, _, result in found)),
        floating=max(result[1] for _, _, result in found),
        difference=next((result[2] for _, _, result in found if result[2]), ""),
    )
