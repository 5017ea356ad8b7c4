"""The table of verifiers: every published rule as a solver under a lift, with the policies that it is lossless for."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from .lifts import Lift, TreeLaw, TreeRule, bottom_up, top_down
from .policies import Chain, Delayed, Iid, Policy
from .solvers import Solver, k_seq, naive, nss, rrs, rrs_without_replacement
from .trees import DraftTree


@dataclass(frozen=True)
class Verifier:
    """One row of the table: a rule for draft trees, and where it holds.

    Fields
    ------
    name : the key in ``VERIFIERS``
    title : the name in the literature
    source : where the rule is published
    solver, lift : what it is made of
    policies : the tree policies that it is lossless for, by type
    """

    name: str
    title: str
    source: str
    solver: Solver
    lift: Lift
    policies: tuple[type[Policy], ...]

    @property
    def rule(self) -> TreeRule:
        """The solver under the lift."""
        return self.lift(self.solver)

    def supports(self, policy: Policy) -> bool:
        """True if the verifier is lossless for the policy; a subclass of a listed policy is another policy."""
        return type(policy) in self.policies

    def require(self, policy: Policy) -> None:
        """Raise ``ValueError`` unless the verifier is lossless for the policy."""
        if not self.supports(policy):
            known = ", ".join(kind.__name__ for kind in self.policies)
            raise ValueError(
                f"verifier {self.name!r} is not known to be lossless for the policy {policy!r}; it is for {known}"
            )

    def law(self, tree: DraftTree, rows: bool = False) -> TreeLaw:
        """The law of (accepted node, next token) given the tree; exact for Fractions.

        ``rows`` computes the (N, V) next-token rows at once; else they are computed when first asked for.
        Raises ``ValueError`` for a tree with a longer child list than the verifier's policies draw, or with
        nodes that were not sampled from the draft, when the verifier needs samples.
        """
        if Iid not in self.policies and not tree.is_path:
            raise ValueError(f"verifier {self.name!r} takes a single path, but the tree has a child list of two or more")
        if self.solver is not nss and not tree.sampled[1:].all():  # type: ignore[index]
            node = int(tree.sampled[1:].argmin()) + 1  # type: ignore[index, union-attr]
            raise ValueError(f"verifier {self.name!r} needs nodes sampled from the draft, but node {node} was not")
        return self.rule.law(tree, rows)


_IID = (Chain, Iid, Delayed)


def _table(*entries: Verifier) -> MappingProxyType[str, Verifier]:
    return MappingProxyType({entry.name: entry for entry in entries})


VERIFIERS = _table(
    Verifier("naive", "speculative sampling", "2211.17192, 2302.01318", naive, top_down, (Chain,)),
    Verifier("nss", "naive speculative sampling (NSS)", "2305.09781", nss, top_down, _IID),
    Verifier("naive_tree", "NaiveTree", "2602.16994", naive, top_down, _IID),
    Verifier("spectr", "SpecTr", "2310.15141", k_seq, top_down, _IID),
    Verifier("specinfer", "SpecInfer", "2305.09781", rrs, top_down, _IID),
    Verifier("block", "block verification", "2403.10444", naive, bottom_up, (Chain,)),
    Verifier("traversal", "traversal verification", "2505.12398", rrs_without_replacement, bottom_up, _IID),
    Verifier("lifted_k_seq", "lifted K-SEQ", "new: no publication known", k_seq, bottom_up, _IID),
    Verifier("lifted_rrs", "lifted RRS", "new: no publication known", rrs, bottom_up, _IID),
)
"""Name to verifier, read-only."""


def get_verifier(verifier: str | Verifier) -> Verifier:
    """The entry of the table: a name is looked up, an entry is returned as it is.

    Raises ``ValueError`` for an unknown name, with the list of names.
    """
    if isinstance(verifier, Verifier):
        return verifier
    if verifier not in VERIFIERS:
        raise ValueError(f"unknown verifier {verifier!r}; known are {', '.join(VERIFIERS)}")
    return VERIFIERS[verifier]
