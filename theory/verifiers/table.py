"""The table of verifiers: every published rule as a solver under a lift, with the policies that it is lossless for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from ..policies.arguments import get_policy
from ..policies.base import DraftLaw, Policy
from ..policies.best_first import CaDDTree, OptTree, TopK
from ..policies.dyspec import DySpec
from ..policies.paths import Chain, Delayed, Iid
from ..policies.static import Static
from ..policies.top_plus_one import HubPairs, TopPlusOne
from ..rows.lists import without_replacement_lists
from ..rows.near_names import did_you_mean
from ..rows.trees import DraftTree
from ..solvers.by_rule import greedy, hub
from ..solvers.canonical_lists import canonical
from ..solvers.closed_form import optimal_iid
from ..solvers.sequential import Solver, k_seq, naive, nss, rrs, rrs_without_replacement
from ..solvers.symmetry import symmetrised
from ..solvers.transport import OptimalTransport, optimal
from .lifts import Lift, Rule, TreeLaw, TreeRule, bottom_up, top_down
from .path_rules import GreedyMultiPath, Hierarchical


@dataclass(frozen=True)
class Verifier:
    """One row of the table: a rule for draft trees, and where it holds.

    Fields
    ------
    name : the key in ``VERIFIERS``
    title : the name in the literature
    source : where the rule is published
    rule : the rule, in nearly every row a solver under a lift
    draft_laws : it is lossless for a policy whose child lists follow one of these
    """

    name: str
    title: str
    source: str
    rule: Rule
    draft_laws: frozenset[DraftLaw]

    @property
    def solver(self) -> Solver | None:
        """The one-step solver, or None for a rule that is not a solver under a lift."""
        return self.rule.solver if isinstance(self.rule, TreeRule) else None

    @property
    def lift(self) -> Lift | None:
        """The lift, or None for a rule that is not a solver under a lift."""
        return self.rule.lift if isinstance(self.rule, TreeRule) else None

    @property
    def policies(self) -> tuple[type[Policy], ...]:
        """The types of policy that the verifier supports; special cases of others, such as a chain, may do too."""
        return tuple(kind for kind, laws in POLICY_LAWS.items() if laws & self.draft_laws)

    def supports(self, policy: str | Policy) -> bool:
        """True if the verifier is lossless for the policy."""
        return bool(get_policy(policy).draft_laws & self.draft_laws)

    def require(self, policy: str | Policy) -> None:
        """Raise ``ValueError`` unless the verifier is lossless for the policy."""
        if not self.supports(policy):
            known = "; ".join(sorted(law.value for law in self.draft_laws))
            raise ValueError(
                f"verifier {self.name!r} is not known to be lossless for the policy {policy!r}; "
                f"it needs child lists of this kind: {known}"
            )

    def law(self, tree: DraftTree, rows: bool = False) -> TreeLaw:
        """The law of (accepted node, next token) given the tree; exact for Fractions.

        ``rows`` computes the (N, V) next-token rows at once; else they are computed when first asked for.
        Raises ``ValueError`` for a tree with a longer child list than the verifier's policies draw, or with
        nodes that were not sampled from the draft, when the verifier needs samples.
        """
        if self.draft_laws == {DraftLaw.SINGLE} and not tree.is_path:
            raise ValueError(f"verifier {self.name!r} takes a single path, but a child list of the tree is longer")
        if not self.draft_laws & BY_RULE and not tree.sampled[1:].all():  # type: ignore[index]
            node = int(np.argmin(tree.sampled[1:])) + 1  # type: ignore[index]
            raise ValueError(f"verifier {self.name!r} needs nodes sampled from the draft, but node {node} was not")
        return self.rule.law(tree, rows)


POLICY_LAWS: dict[type[Policy], frozenset[DraftLaw]] = {
    Chain: Chain(1).draft_laws,
    Iid: Iid(2, 1).draft_laws,
    Delayed: Delayed(2, 1, 1).draft_laws,
    Static: frozenset({DraftLaw.IID, DraftLaw.WITHOUT_REPLACEMENT}),
    TopPlusOne: TopPlusOne(2, 1).draft_laws,
    HubPairs: HubPairs(1).draft_laws,
    TopK: TopK(1, 1, 1).draft_laws,
    OptTree: OptTree(1, 0, 1).draft_laws,
    CaDDTree: frozenset({DraftLaw.DETERMINISTIC}),
    DySpec: DySpec(1).draft_laws,
}
"""Policies by type, with the draft laws that their instances have: special cases, such as a chain, have more."""

BY_RULE = frozenset({DraftLaw.DETERMINISTIC, DraftLaw.TOP_PLUS_ONE, DraftLaw.HUB_PAIRS})
"""The draft laws in which some children are put there by rule, not drawn."""

_ANY = frozenset(DraftLaw)
_SINGLE = frozenset({DraftLaw.SINGLE})
_IID = frozenset({DraftLaw.IID})
_PATHS = frozenset({DraftLaw.PATHS})
_DISTINCT = frozenset({DraftLaw.WITHOUT_REPLACEMENT})
_ERASED = frozenset({DraftLaw.IID, DraftLaw.WITHOUT_REPLACEMENT, DraftLaw.ADAPTIVE})
_TOP = frozenset({DraftLaw.TOP_PLUS_ONE})
_HUB = frozenset({DraftLaw.HUB_PAIRS})


def _table(*entries: Verifier) -> MappingProxyType[str, Verifier]:
    return MappingProxyType({entry.name: entry for entry in entries})


optimal_without_replacement = OptimalTransport(without_replacement_lists)
"""The optimal solver for draws without replacement, by a transport plan: for small vocabularies."""

OTM = "2310.15141, 2511.15898"
"""The sources of the optimal transport problem and of its solutions."""

NEW = "new: no publication known"
"""The source of a row that is a known solver under a lift that no publication known to us has put it under."""

VERIFIERS = _table(
    Verifier("naive", "speculative sampling", "2211.17192, 2302.01318", top_down(naive), _SINGLE),
    Verifier("nss", "naive speculative sampling (NSS)", "2305.09781", top_down(nss), _ANY),
    Verifier("naive_tree", "NaiveTree", "2602.16994", top_down(naive), _IID),
    Verifier("spectr", "SpecTr", "2310.15141", top_down(k_seq), _IID),
    Verifier("specinfer", "SpecInfer", "2305.09781", top_down(rrs), _IID),
    Verifier("rrsw", "RRSw", "2402.12374, 2401.15077, 2402.14160", top_down(rrs_without_replacement), _ERASED),
    Verifier("khisti", "canonical decomposition", "2410.18234", top_down(canonical), _IID),
    Verifier("greedy", "greedy draft sampling", "2502.18779", top_down(greedy), _TOP),
    Verifier("spechub", "SpecHub", "2411.05289", top_down(hub), _HUB),
    Verifier("optimal", "optimal transport, closed form", f"{OTM}; closed form: new", top_down(optimal_iid), _IID),
    Verifier("optimal_plan", "optimal transport, plan with ties to multiplicity", OTM, top_down(optimal), _IID),
    Verifier(
        "optimal_without_replacement", "optimal transport", OTM, top_down(optimal_without_replacement), _DISTINCT
    ),
    Verifier("block", "block verification", "2403.10444", bottom_up(naive), _SINGLE),
    Verifier("hierarchical", "hierarchical verification", "2601.05724, Algorithm 2", Hierarchical(), _SINGLE),
    Verifier("traversal", "traversal verification", "2505.12398", bottom_up(rrs_without_replacement), _ERASED),
    Verifier("gbv", "greedy multi-path block verification", "2602.16961", GreedyMultiPath(), _PATHS),
    Verifier("univer", "UniVer", "2605.04543", bottom_up(greedy), _TOP),
    Verifier("lifted_naive", "lifted NaiveTree", NEW, bottom_up(naive), _IID),
    Verifier("lifted_k_seq", "lifted K-SEQ", NEW, bottom_up(k_seq), _IID),
    Verifier("lifted_rrs", "lifted RRS", NEW, bottom_up(rrs), _IID),
    Verifier("lifted_khisti", "lifted canonical", NEW, bottom_up(canonical), _IID),
    Verifier("lifted_spechub", "lifted SpecHub", NEW, bottom_up(hub), _HUB),
    Verifier("lifted_optimal", "lifted optimal transport, closed form", NEW, bottom_up(optimal_iid), _IID),
    Verifier("lifted_optimal_plan", "lifted optimal transport, ties to multiplicity", NEW, bottom_up(optimal), _IID),
    Verifier(
        "lifted_optimal_without_replacement",
        "lifted optimal transport",
        NEW,
        bottom_up(optimal_without_replacement),
        _DISTINCT,
    ),
    Verifier("symmetric_naive", "lifted NaiveTree, orders averaged", NEW, bottom_up(symmetrised(naive)), _IID),
    Verifier("symmetric_k_seq", "lifted K-SEQ, orders averaged", NEW, bottom_up(symmetrised(k_seq)), _IID),
    Verifier("symmetric_rrs", "lifted RRS, orders averaged", NEW, bottom_up(symmetrised(rrs)), _IID),
    Verifier(
        "symmetric_traversal",
        "traversal verification, orders averaged",
        NEW,
        bottom_up(symmetrised(rrs_without_replacement)),
        _IID,
    ),
)
"""Name to verifier, read-only."""


OWN: dict[str, Verifier] = {}
"""Verifiers that were added to those of the table, by name."""


def add_verifier(name: str, verifier: Verifier) -> Verifier:
    """The verifier under a name, by which every function that takes a name of the table knows it from now on.

    Raises ``ValueError`` for a name of the table, ``TypeError`` for what is no ``Verifier``.
    """
    if name in VERIFIERS:
        raise ValueError(f"name {name!r} is taken: it is one of the table's")
    if not isinstance(verifier, Verifier):
        raise TypeError(f"verifier must be a Verifier, but is {verifier!r}")
    OWN[name] = replace(verifier, name=name)
    return OWN[name]


def get_verifier(verifier: str | Verifier) -> Verifier:
    """The entry of the table, or one that was added: a name is looked up, an entry is returned as it is.

    Raises ``ValueError`` for an unknown name, with the list of names and the one that is near; ``TypeError`` for what
    is neither.
    """
    if isinstance(verifier, Verifier):
        return verifier
    if not isinstance(verifier, str):
        raise TypeError(f"verifier must be a name of the table, or a Verifier, but is {verifier!r}")
    known = {**VERIFIERS, **OWN}
    if verifier not in known:
        raise ValueError(f"unknown verifier {verifier!r}; known are {', '.join(known)}{did_you_mean(verifier, known)}")
    return known[verifier]
