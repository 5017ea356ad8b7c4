"""A head's own predictions unrolled along known texts: what it says at depth 1, 2, 3, ... below a root.

Level 1 reads the target's states.  At level k a place reads the head's state of level k - 1 at the place before, and
attends to what a drafter's cache would hold there: the target's states up to k places back, then one state of each
level between.  So a level costs one pass over the texts, whatever its depth.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...models.backend import torch, transformers
from ...models.heads.network import Head, HeadOutput, shifted

Tensor = torch.Tensor


def unrolled(head: Head, tokens: Tensor, states: Tensor, depth: int) -> Iterator[HeadOutput]:
    """The head's outputs at levels 1 to ``depth`` for tokens (B, n) and the target's states (B, n, D) at them.

    At level k the first k - 1 places mean nothing: nothing can be drafted so deep there.
    """
    places = torch.arange(tokens.shape[1], device=tokens.device)
    cache, before = transformers.DynamicCache(), shifted(states)
    for level in range(1, depth + 1):
        output = head(
            tokens,
            before,
            position_ids=places.expand_as(tokens),
            attention_mask=seen_at(level, places).expand(len(tokens), 1, -1, -1),
            past_key_values=cache,
            use_cache=True,
        )
        yield output
        before = shifted(output.states)


def seen_at(level: int, places: Tensor) -> Tensor:
    """(n, level * n) bool: which keys of levels 1 to ``level``, one level behind the other, a place attends to.

    The first ``level`` - 1 places, which mean nothing, see themselves.
    """
    back = places[:, None] - places
    blocks = [back >= level - 1] + [back == level - one for one in range(2, level + 1)]
    return torch.cat(blocks, dim=1)
