"""Engines of several rounds that keep a history between them: what rows depend on beside the tokens of a block.

A penalty, a recurrent state or a cache is fed the tokens of each round.  Fed wrongly, the rows of the next round are
those behind another text; that text ends with the token that was emitted last, as the engine's does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
        blocks: dict[State, Generator] = {}

        def block_behind(state: State) -> Generator:
            if state not in blocks:
                behind = _Behind(pair, context + state[1], context + state[2])
                blocks[state] = Drafting()(behind, self.drafts)
            return blocks[state]

        def generate(rng: np.random.Generator, trials: int) -> Ints:
            states: dict[State, Ints] = {((), (), ()): np.arange(trials)}
            texts = np.empty((trials, depth + 1), dtype=np.int64)
            while states:
                state, mine = states.popitem()
                for after, some in self._round(block_behind(state), state, mine, rng):
                    if len(after[0]) > depth:
                        texts[some] = after[0][: depth + 1]
                    else:
                        states[after] = np.concatenate([states[after], some]) if after in states else some
            return texts

        return generate

    def _round(
        self, block: Generator, state: State, trials: Ints, rng: np.random.Generator
    ) -> Iterator[tuple[State, Ints]]:
        """The states behind one round more of some trials (n,), each with its trials."""
        chains = block.draft(rng, len(trials))
        tokens = np.concatenate([block.engine.verify(chains, rng).tokens, chains.tokens], axis=1)
        ways, taken = np.unique(tokens, axis=0, return_inverse=True)
        for number, way in enumerate(ways.tolist()):
            kept = tuple(token for token in way[: self.drafts + 1] if token != NO_TOKEN)
            drafted = tuple(way[self.drafts + 1 :])
            text, target, draft = state
            after = text + kept, target + self.target(kept, drafted), draft + self.draft(kept, drafted)
            yield after, trials[taken.ravel() == number]


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
