"""Certificates over many random instances: every verifier with every policy that it supports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from veridraft.theory.policies.arguments import parse_policy
from veridraft.theory.policies.base import Policy
from veridraft.theory.verifiers.certificates import Certificate, certify
from veridraft.theory.verifiers.table import get_verifier

from ...running.options import check_verifiers
from ..report.data import CertificateRow
from .instances import Instance


@dataclass(frozen=True)
class CertificateCase:
    """An instance with a policy, and the verifiers that support it."""

    instance: Instance
    policy: Policy
    verifiers: tuple[str, ...]

    @property
    def trees(self) -> int:
        """The number of trees when every draft row has full support."""
        return self.policy.tree_count(self.instance.vocabulary_size)

    @property
    def key(self) -> tuple[int, str]:
        """The number of the pair, and the policy."""
        return self.instance.index, self.policy.name

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


def cases(pairs: int, verifiers: Sequence[str], most_trees: int) -> list[CertificateCase]:
    """The cases of the first ``pairs`` instances with at most ``most_trees`` trees, small ones first."""
    found = []
    for instance in map(Instance.number, range(pairs)):
        for policy in instance.policies:
            able = tuple(name for name in verifiers if get_verifier(name).supports(policy))
            if able:
                found.append(CertificateCase(instance, policy, able))
    return sorted((case for case in found if case.trees <= most_trees), key=lambda case: case.trees)


def _difference(certificate: Certificate) -> str:
    """The first string that came out wrong, in words; empty if none did."""
    first = certificate.first_difference
    if first is None:
        return ""
    return (
        f"{certificate.verifier} with {certificate.policy}: the string {first.string} has probability "
        f"{first.observed}, not {first.expected}"
    )


@dataclass(frozen=True)
class CertificatesPlan:
    """Which certificates are made; ``ValueError`` that names what is out of range."""

    pairs: int
    verifiers: tuple[str, ...]
    most_trees: int
    seed: int

    def __post_init__(self) -> None:
        for name in ("pairs", "most_trees"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name.replace('_', '-')} must be at least 1, but is {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, but is {self.seed}")
        check_verifiers(self.verifiers)

    @cached_property
    def cases(self) -> dict[tuple[int, str], CertificateCase]:
        """By key, in the order in which they are made."""
        return {case.key: case for case in cases(self.pairs, self.verifiers, self.most_trees)}

    def settings(self) -> dict[str, Any]:
        """What determines the certificates."""
        numbers = {"pairs": self.pairs, "most_trees": self.most_trees, "seed": self.seed}
        return numbers | {"verifiers": list(self.verifiers), "cells": [list(key) for key in self.cases]}

    def measure(self, pair: int, policy: str) -> dict[str, Any]:
        """The certificates of one case."""
        return self.cases[pair, policy].run(self.seed)


def rows_of(cells: Iterable[Mapping[str, Any]]) -> tuple[CertificateRow, ...]:
    """One row per verifier over its finished certificates."""
    found: dict[str, list[tuple[Policy, int, list[Any]]]] = {}
    for cell in cells:
        for verifier, result in cell["results"].items():
            found.setdefault(verifier, []).append((parse_policy(cell["policy"]), cell["trees"], result))
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
