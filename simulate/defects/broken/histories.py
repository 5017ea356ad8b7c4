"""Engines of several rounds that keep a history between them: what rows depend on beside the tokens of a block.

A penalty, a recurrent state or a cache is fed the tokens of each round.  Fed wrongly, the rows of the next round are
those behind another text; that text ends with the token that was emitted last, as the engine's does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from veridraft.theory.pairs.base import Pair
from veridraft.theory.rows.distributions import NO_TOKEN, Row
from veridraft.theory.rows.trees import Context

from ...batches.rows import Ints
from ..correct.engines import Drafting, Generator

DRAFTS = 2
"""Tokens that a round drafts, unless it is told otherwise."""

Fed = Callable[[Context, Context], Context]
"""What a history is fed in a round: from the tokens that are kept, the last one among them, and those drafted."""

State = tuple[Context, Context, Context]
"""The text so far, and the histories of the target and of the draft."""


def kept_tokens(kept: Context, drafted: Context) -> Context:
    """Every token that is kept: right."""
    return kept


def last_token(kept: Context, drafted: Context) -> Context:
    """The last token alone."""
    return kept[-1:]


def drafts_too(kept: Context, drafted: Context) -> Context:
    """All drafts, rejected ones among them, and then what is kept."""
    return (*drafted, *kept)


class _Behind(Pair):
    """A pair's rows, the target's behind one history and the draft's behind another."""

    exact = False

    def __init__(self, pair: Pair, target: Context, draft: Context) -> None:
        self.pair, self.histories, self.vocabulary_size = pair.as_float(), (target, draft), pair.vocabulary_size

    def target_row(self, context: Context) -> Row:
        """The target's row (V,)."""
        return self.pair.target_row(self.histories[0] + context)

    def draft_row(self, context: Context) -> Row:
        """The draft's row (V,)."""
        return self.pair.draft_row(self.histories[1] + context)


@dataclass(frozen=True)
class Rounds:
    """A builder: rounds of token-wise speculative sampling until a text is ``depth + 1`` tokens long.

    Fields
    ------
    target, draft : what the histories of target and draft are fed
    drafts : how many tokens a round drafts
    """

    target: Fed = kept_tokens
    draft: Fed = kept_tokens
    drafts: int = DRAFTS

    def __call__(self, pair: Pair, depth: int, context: Context = ()) -> Callable[[np.random.Generator, int], Ints]:
        """``generate(rng, trials)``: tokens (T, depth + 1), every one of them there."""
        blocks: dict[tuple[Context, Context], Generator] = {}

        def block_behind(histories: tuple[Context, Context]) -> Generator:
            if histories not in blocks:
                behind = _Behind(pair, context + histories[0], context + histories[1])
                blocks[histories] = Drafting()(behind, self.drafts)
            return blocks[histories]

        def generate(rng: np.random.Generator, trials: int) -> Ints:
            states: list[State] = [((), (), ())] * trials
            while groups := _unfinished(states, depth + 1):
                for histories, mine in groups.items():
                    self._round(block_behind(histories), states, mine, rng)
            return np.array([text[: depth + 1] for text, _, _ in states], dtype=np.int64)

        return generate

    def _round(self, block: Generator, states: list[State], mine: list[int], rng: np.random.Generator) -> None:
        """One round more for the trials of equal histories."""
        chains = block.draft(rng, len(mine))
        tokens = block.engine.verify(chains, rng).tokens
        for trial, row, drafted in zip(mine, tokens.tolist(), chains.tokens.tolist(), strict=True):
            kept, block_drafted = tuple(token for token in row if token != NO_TOKEN), tuple(drafted)
            text, target, draft = states[trial]
            fed = target + self.target(kept, block_drafted), draft + self.draft(kept, block_drafted)
            states[trial] = (text + kept, *fed)


def _unfinished(states: list[State], length: int) -> dict[tuple[Context, Context], list[int]]:
    """The trials whose texts are shorter than that, by their histories."""
    groups: dict[tuple[Context, Context], list[int]] = defaultdict(list)
    for trial, (text, target, draft) in enumerate(states):
        if len(text) < length:
            groups[target, draft].append(trial)
    return groups


histories_right = Rounds()

history_of_last_tokens = Rounds(target=last_token, draft=last_token)
"""A penalty's counts are fed the last token of a round alone, though a round keeps several (row 63).

sgl-project/sglang, pull request #33643.
"""

history_with_rejected_drafts = Rounds(target=drafts_too, draft=drafts_too)
"""A penalty's counts live in a shared object, which every proposed token is counted in (row 64).

osaurus-ai/vmlx-swift, issue #357, pull request #361.
"""

drafts_history_polluted = Rounds(draft=drafts_too)
"""The draft's cache keeps rejected tokens, the target's does not: exact, as the rows that are told were drawn from."""
