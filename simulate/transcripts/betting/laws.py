"""Laws that a token has under known mistakes, given the rows at its place: what a likelihood ratio is taken against.

Of two kinds.  *Settings*: the text is drawn from the target's row behind other sampling settings; nothing but the row
is needed.  *Mechanisms*: a draft's token is accepted, or replaced, by a rule that is not the lossless one; the draft's
row is needed, and the law is that of the place's token under token-wise verification of one draft.  Where it is not
known whether a place was drafted at all, the mechanism is taken to hold in three places of four.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np

from veridraft.theory.rows.distributions import apply_temperature, entropy, normalised

from ...batches.rows import Floats, residual
from .texts import FLOOR, Text

Laws = Callable[[Text], Floats]
"""From a text to rows (n, A), each of sum 1."""

UNTOLD = 0.75
"""The share of places that are taken to be drafted where steps are not told."""


def cut_to_top_p(text: Text, share: float) -> Floats:
    """The target's rows cut to the likeliest tokens of that share.

    The last column, of many tokens, stands behind all others however much they have together: it keeps what these
    leave of the share.
    """
    own = text.target[:, :-1]
    order = np.argsort(-own, axis=1, kind="stable")
    ordered = np.take_along_axis(own, order, axis=1)
    kept = np.zeros_like(own)
    np.put_along_axis(kept, order, np.where(np.cumsum(ordered, axis=1) - ordered < share, ordered, 0.0), axis=1)
    left = np.maximum(share - own.sum(axis=1, keepdims=True), 0.0)
    return np.asarray(normalised(np.hstack([kept, left])))


def cut_to_min_p(text: Text, least: float) -> Floats:
    """The target's rows without the tokens below that share of the likeliest one's probability.

    The last column, of many tokens, goes with the least likely of the others.
    """
    own, others = text.target[:, :-1], text.target[:, -1:]
    likeliest = own.max(axis=1, keepdims=True, initial=0.0)
    kept = np.where(own >= least * likeliest, own, 0.0)
    there = np.where(own > FLOOR, own, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    cut = np.hstack([kept, np.where(there < least * likeliest, 0.0, others)])
    return np.asarray(normalised(cut))


SETTINGS: Mapping[str, Laws] = MappingProxyType(
    {f"top-p {share} was applied": partial(cut_to_top_p, share=share) for share in (0.99, 0.95, 0.9)}
    | {f"min-p {least} was applied": partial(cut_to_min_p, least=least) for least in (0.01, 0.05)}
)
"""Settings that were not asked for; temperatures are found by tilts."""


def accepted_or(accepted: Floats, corrections: Floats) -> Floats:
    """Accepted masses (n, A), what they miss of 1 going to the corrections (n, A)."""
    return accepted + (1.0 - accepted.sum(axis=1, keepdims=True)) * corrections


def kept(text: Text) -> Floats:
    """The masses (n, A) that the lossless rule accepts."""
    return np.minimum(text.target, text.draft)


def corrected_from_target(text: Text) -> Floats:
    """A rejected draft is replaced by a draw from the target's row."""
    return accepted_or(kept(text), text.target)


def corrected_from_draft(text: Text) -> Floats:
    """A rejected draft is replaced by a draw from the draft's row."""
    return accepted_or(kept(text), text.draft)


def corrected_from_distance(text: Text) -> Floats:
    """A rejected draft is replaced by a draw from |target - draft|."""
    distance = np.abs(text.target - text.draft)
    total = distance.sum(axis=1, keepdims=True)
    return accepted_or(kept(text), np.where(total > 0, distance / np.where(total > 0, total, 1.0), text.target))


def corrected_from_sum_below_one(text: Text) -> Floats:
    """The residual is not normalised: what its sum misses of 1 falls to the last column."""
    over = np.maximum(text.target - text.draft, 0.0)
    over[:, -1] += 1.0 - over.sum(axis=1)
    return accepted_or(kept(text), over)


def accepted_leniently(text: Text, share: float) -> Floats:
    """A draft is accepted with probability min(1, p / (share q))."""
    return accepted_or(np.minimum(text.draft, text.target / share), residual(text.target, text.draft))


def accepted_at_a_rate(text: Text, rate: float) -> Floats:
    """A draft is accepted with one probability, whatever the rows say."""
    return accepted_or(rate * text.draft, residual(text.target, text.draft))


def accepted_if_typical(text: Text) -> Floats:
    """A draft is accepted if the target gives it more than min(0.09, 0.3 exp(-entropy)) (Medusa's rule)."""
    threshold = np.minimum(0.09, 0.3 * np.exp(-entropy(text.target)))[:, None]
    return accepted_or(np.where(text.target > threshold, text.draft, 0.0), text.target)


def argmax_told_as_sampled(text: Text) -> Floats:
    """The draft is its row's likeliest token, and is verified as if it had been drawn."""
    best = text.draft.argmax(axis=1)[:, None]
    ratio = np.take_along_axis(text.target, best, 1) / np.take_along_axis(text.draft, best, 1)
    accepted = np.zeros_like(text.draft)
    np.put_along_axis(accepted, best, np.minimum(1.0, ratio), 1)
    return accepted_or(accepted, residual(text.target, text.draft))


def told_at_temperature(text: Text, temperature: float) -> Floats:
    """Drafts are drawn from their row, and verified with that row at another temperature."""
    return verified(text.target, text.draft, np.asarray(apply_temperature(text.draft, temperature)))


def verified_with_row_before(text: Text) -> Floats:
    """Drafts are held against the target's row of the place before."""
    return verified(text.before, text.draft, text.draft)


def verified(target: Floats, draft: Floats, told: Floats) -> Floats:
    """The law (n, A) of a token drawn from the draft's row and verified as if it had been drawn from the one told."""
    ratio = np.minimum(1.0, np.divide(target, told, out=np.ones_like(told), where=told > 0))
    return accepted_or(draft * ratio, residual(target, told))


DRAFTED: Mapping[str, Laws] = MappingProxyType(
    {
        "corrections are drawn from the target's row, not from the residual": corrected_from_target,
        "corrections are drawn from the draft's row": corrected_from_draft,
        "corrections are drawn from |target - draft|": corrected_from_distance,
        "the residual is drawn from without being normalised": corrected_from_sum_below_one,
        "drafts are accepted by p / (0.9 q)": partial(accepted_leniently, share=0.9),
        "drafts are accepted by p / (0.7 q)": partial(accepted_leniently, share=0.7),
        "drafts are accepted at a rate of 0.7, whatever the rows say": partial(accepted_at_a_rate, rate=0.7),
        "every draft is accepted": partial(accepted_at_a_rate, rate=1.0),
        "drafts are accepted where the target finds them typical": accepted_if_typical,
        "the draft's likeliest token is verified as if it had been drawn": argmax_told_as_sampled,
        "drafts are verified with their row at temperature 0.7": partial(told_at_temperature, temperature=0.7),
        "drafts are verified with the target's row of the place before": verified_with_row_before,
    }
)
"""Mechanisms of places that hold a draft."""

BONUS: Mapping[str, Laws] = MappingProxyType(
    {
        "the bonus token is drawn from the row of the place before": lambda text: text.before,
        "the bonus token is drawn from the draft's row": lambda text: text.draft,
    }
)
"""Mechanisms of the place behind all drafts; they need steps that are told."""


def law_of_mechanism(text: Text, laws: Laws, by_place: bool) -> Floats:
    """(n, A) the laws of a mechanism of drafted places; the target's row where it does not apply."""
    wrong = laws(text)
    if by_place and text.bonus is not None:
        return np.where((text.drafted & ~text.bonus)[:, None], wrong, text.target)
    share = np.where(text.drafted, UNTOLD, 0.0)[:, None]
    return share * wrong + (1.0 - share) * text.target


def law_of_bonus(text: Text, laws: Laws) -> Floats:
    """(n, A) the laws of a mechanism of the bonus place; the target's row elsewhere."""
    assert text.bonus is not None
    return np.where(text.bonus[:, None], laws(text), text.target)
