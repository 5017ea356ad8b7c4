"""SpecHub's one-step rule for pairs of the hub and another token (2411.05289, Algorithm 1), for many trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...batches.rows import Bools, Floats, Ints, at_token, draw, or_else, quotient, sums
from .tree_walk import SiblingChoice, Siblings, erased


@dataclass(frozen=True)
class Hub:
    """SpecHub's step for pairs of the hub a, the draft's likeliest token, and another token i, in either order.

    sure : a hub whose target probability exceeds this is accepted without a coin; 1: none is
    """

    sure: float = 1.0

    def __call__(self, siblings: Siblings, rng: np.random.Generator) -> SiblingChoice:
        """The choice at lists (i, a), (a, i), or (a,) where the hub has all the mass."""
        hub = siblings.draft.argmax(axis=1)
        other, paired = _other(siblings, hub)
        leads = at_token(siblings.tokens, siblings.listed.argmax(axis=1)) == hub
        shares = _shares(siblings.target, siblings.draft, hub)
        sure = at_token(siblings.target, hub) > self.sure
        coins = rng.random((2, len(hub)))
        by_other = paired & ~sure & (coins[0] < at_token(shares.of_other(leads), other))
        by_hub = ~by_other & (sure | (coins[1] < shares.of_hub(leads)))
        none, rest = ~(by_other | by_hub), or_else(shares.rest, siblings.target)
        token = np.where(by_hub, hub, other)
        token[none] = draw(rest[none], rng)
        return SiblingChoice(token, ~none, none, rest)


def _other(siblings: Siblings, hub: Ints) -> tuple[Ints, Bools]:
    """The listed token that is not the hub (n,), and whether there is one; the hub if there is none."""
    others = siblings.listed & (siblings.tokens != hub[:, None])
    paired = others.sum(axis=1) > 0
    return np.where(paired, at_token(siblings.tokens, others.argmax(axis=1)), hub), paired


@dataclass(frozen=True, eq=False)
class HubShares:
    """The probabilities of SpecHub's four tests, in their order, and what they leave of the target.

    other_first : (n, V), to accept i of (i, a); other_second : (n, V), to accept i of (a, i); hub_first : (n,), then
    a of (a, i); hub_second : (n,), then a of (i, a); rest : (n, V), unnormalised
    """

    other_first: Floats
    other_second: Floats
    hub_first: Floats
    hub_second: Floats
    rest: Floats

    def of_other(self, hub_leads: Bools) -> Floats:
        """(n, V) to accept each token beside the hub."""
        return np.where(hub_leads[:, None], self.other_second, self.other_first)

    def of_hub(self, hub_leads: Bools) -> Floats:
        """(n,) to accept the hub, the other being rejected."""
        return np.where(hub_leads, self.hub_first, self.hub_second)


def _shares(target: Floats, draft: Floats, hub: Ints) -> HubShares:
    """The shares; the pair (i, a) has probability draft(i), and (a, i) has draft(a) draft(i) / (1 - draft(a))."""
    at_hub, hub_left = at_token(draft, hub), at_token(target, hub)
    rest, trailing_hub = erased(target, hub), erased(draft, hub)
    leading_hub = trailing_hub * quotient(at_hub, 1.0 - at_hub)[:, None]
    alone = np.where(at_hub < 1.0, 0.0, 1.0)
    other_first, rest, trailing_hub = _matched(rest, trailing_hub)
    other_second, rest, leading_hub = _matched(rest, leading_hub)
    hub_first, hub_left, _ = _matched(hub_left, sums(leading_hub) + alone)
    hub_second, hub_left, _ = _matched(hub_left, sums(trailing_hub))
    rest[np.arange(len(hub)), hub] = hub_left
    return HubShares(other_first, other_second, hub_first, hub_second, rest)


def _matched(target: Floats, offered: Floats) -> tuple[Floats, Floats, Floats]:
    """The share of the offer that the target takes, and what is left of both."""
    share = np.minimum(quotient(target, offered), 1.0)
    return share, np.maximum(target - offered, 0.0), np.maximum(offered - target, 0.0)
