"""Greedy block verification, which changes the target of the next round (first version of 2403.10444).

One round accepts a draft of L tokens by its joint ratio alone: a prefix of length l survives with probability
``min(P, Q)`` of its joint probabilities under target and draft, which no rule for a single round can beat.  The
price is that a round which stops at tau < L leaves a debt: the next L - tau tokens, of which the round itself
emits the first, follow ``(P - Q)+`` along the continuation and not the target.  So the rule is no law given a tree,
and stands outside the table of verifiers; it is certified here over rounds.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from ..pairs.base import Pair
from ..rows.distributions import Row, Scalar, check_count, normalised
from ..rows.trees import Context
from ..solvers.sequential import excess
from .path_rules import joint_ratio

Debt = tuple[Scalar, int]
"""The joint ratio P/Q at the context, and for how many more tokens it binds."""

Debts = tuple[Debt, ...]
"""Debts of rounds that stopped early, oldest first; each is laid on the target that the older ones leave."""


@dataclass(frozen=True)
class RoundsCertificate:
    """The law of the tokens that some rounds emit, against the target's.

    ``total_variation`` is over strings of ``length`` tokens, rounds that emit fewer completed by the target under
    their debts; ``acceptance_lengths`` is E[tau] of each round.
    """

    total_variation: Any
    length: int
    acceptance_lengths: tuple[Any, ...]


def debt_row(pair: Pair, context: Context, debts: Debts) -> Row:
    """The target's row (V,) under debts: each turns a row p into ``(ratio p - q)+``, normalised."""
    return _rows(pair, context, debts)[-1]


def _rows(pair: Pair, context: Context, debts: Debts) -> list[Row]:
    """The target's row, and the rows after each debt in turn."""
    rows, draft = [pair.target_row(context)], pair.draft_row(context)
    for ratio, _ in debts:
        rows.append(_normalised_or_dead(excess(rows[-1] * ratio, draft, ratio * 0 + 1)))
    return rows


def _normalised_or_dead(masses: Row) -> Row:
    """Masses over their sum; zeros where nothing is left, at contexts that cannot be emitted under the debts."""
    return normalised(masses) if masses.any() else masses


def advance(pair: Pair, context: Context, debts: Debts, token: int) -> Debts:
    """The debts after a token was emitted; one that has run out, or whose draft has died, is dropped."""
    draft = pair.draft_row(context)[token]
    kept = zip(debts, _rows(pair, context, debts)[:-1], strict=True)
    return tuple((joint_ratio(ratio, row[token], draft), left - 1) for (ratio, left), row in kept if left > 1 and draft)


def one_round(
    pair: Pair, context: Context, debts: Debts, length: int, carry: bool = True
) -> dict[tuple[Context, Debts], Scalar]:
    """The probabilities of (emitted tokens, debts after them) in a round that drafts ``length`` tokens.

    ``carry=False`` forgets the new debt, which is what an engine does that takes the rule for a verifier of
    single rounds.
    """
    out: dict[tuple[Context, Debts], Scalar] = defaultdict(lambda: pair.target_row(context)[0] * 0)
    for tokens in product(range(pair.vocabulary_size), repeat=length):
        _follow_draft(pair, context, debts, tokens, carry, out)
    return dict(out)


def _follow_draft(
    pair: Pair, context: Context, debts: Debts, tokens: Context, carry: bool, out: dict[tuple[Context, Debts], Scalar]
) -> None:
    """Add the outcomes of one drafted path, scanned from its end."""
    one = pair.target_row(context)[0] * 0 + 1
    chance, ratios, states = one, [one], [debts]
    for depth, token in enumerate(tokens):
        here = context + tokens[:depth]
        draft = pair.draft_row(here)[token]
        chance *= draft
        if chance == 0:
            return
        ratios.append(joint_ratio(ratios[-1], debt_row(pair, here, states[-1])[token], draft))
        states.append(advance(pair, here, states[-1], token))
    for tau in range(len(tokens), -1, -1):
        stop, row = _stop(pair, context + tokens[:tau], states[tau], ratios[tau], tau == len(tokens))
        for token in np.flatnonzero(row * (chance * stop)).tolist():
            after = _owed(pair, context + tokens[:tau], states[tau], ratios[tau], token, len(tokens) - tau - 1, carry)
            out[(*tokens[:tau], token), after] += chance * stop * row[token]
        chance *= 1 - stop


def _stop(pair: Pair, context: Context, debts: Debts, ratio: Scalar, last: bool) -> tuple[Scalar, Row]:
    """The probability of stopping at a prefix once its extensions are rejected, and the next token's row."""
    one, row = ratio * 0 + 1, debt_row(pair, context, debts)
    if last:
        return min(one, ratio), row
    draft = pair.draft_row(context)
    taken = np.minimum(row * ratio, draft).sum()
    residual = excess(row * ratio, draft, one)
    over, left = min(one, ratio) - taken, one - taken
    return (over / left if left else left), _normalised_or_dead(residual)


def _owed(
    pair: Pair, context: Context, debts: Debts, ratio: Scalar, token: int, left: int, carry: bool
) -> Debts:
    """The debts after the round's last token, its own included."""
    after, draft = advance(pair, context, debts, token), pair.draft_row(context)[token]
    if not carry or left < 1 or not draft:
        return after
    return (*after, (joint_ratio(ratio, debt_row(pair, context, debts)[token], draft), left))


def certify_greedy_block(
    pair: Pair, length: int, rounds: int = 2, carry: bool = True, context: Context = ()
) -> RoundsCertificate:
    """The certificate of greedy block verification over some rounds, every draft and every coin enumerated.

    Exact for a pair in Fractions: total variation 0 is a proof for the instance.  ``carry=False`` certifies the
    rule with its debts forgotten, which is lossy.  ``length`` >= 1, ``rounds`` >= 1.
    The work is V^(length rounds) drafts.
    """
    check_count("length", length, 1)
    check_count("rounds", rounds, 1)
    zero = pair.target_row(context)[0] * 0
    law: dict[tuple[Context, Debts], Scalar] = {((), ()): zero + 1}
    means = []
    for _ in range(rounds):
        after: dict[tuple[Context, Debts], Scalar] = defaultdict(lambda: zero)
        for (emitted, debts), chance in law.items():
            for (tokens, owed), share in one_round(pair, context + emitted, debts, length, carry).items():
                after[emitted + tokens, owed] += chance * share
        means.append(_mean_length(after) - _mean_length(law) - 1)
        law = after
    return RoundsCertificate(_variation(pair, context, law, rounds * (length + 1)), rounds * (length + 1), tuple(means))


def _mean_length(law: dict[tuple[Context, Debts], Scalar]) -> Scalar:
    return sum(len(emitted) * chance for (emitted, _), chance in law.items())


def _variation(pair: Pair, context: Context, law: dict[tuple[Context, Debts], Scalar], length: int) -> Scalar:
    """Total variation to the target over strings of ``length`` tokens, each outcome completed under its debts."""
    states: dict[tuple[Context, Debts], Scalar] = law
    for size in range(length):
        after: dict[tuple[Context, Debts], Scalar] = defaultdict(lambda: pair.target_row(context)[0] * 0)
        for (emitted, debts), chance in states.items():
            if len(emitted) != size:
                after[emitted, debts] += chance
                continue
            row = debt_row(pair, context + emitted, debts)
            for token in np.flatnonzero(row).tolist():
                owed = advance(pair, context + emitted, debts, token)
                after[(*emitted, token), owed] += chance * row[token]
        states = after
    totals: dict[Context, Scalar] = defaultdict(lambda: pair.target_row(context)[0] * 0)
    for (emitted, _), chance in states.items():
        totals[emitted] += chance
    texts = product(range(pair.vocabulary_size), repeat=length)
    return sum(abs(totals[text] - _joint(pair, context, text)) for text in texts) / 2


def _joint(pair: Pair, context: Context, text: Context) -> Scalar:
    chance = pair.target_row(context)[0] * 0 + 1
    for depth, token in enumerate(text):
        chance *= pair.target_row(context + text[:depth])[token]
    return chance
