"""What is known at a root before anything is drafted there: states of both networks, and the rows that they give.

A *state* is what a network's output layer reads at a place.  At a root the target's is known up to the place before,
from the pass that verified the last step; the draft has read the root's own token, which every draft begins with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...models.backend import torch
from ...models.heads.network import is_head, shifted
from ...models.pairs import ModelPair
from ...trees.sampling import Sampling
from ..passes.finite_checks import columns_of

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class Known:
    """A root before drafting.

    target_before : (D,) the target's state at the token before the root's; zeros at the first token of a text
    draft_before, draft_root : (E,) the draft's there and at the root's token
    length : tokens of the text, the root's included
    """

    target_before: Tensor
    draft_before: Tensor
    draft_root: Tensor
    length: int
    sampling: Sampling


@torch.inference_mode()
def rows_of(pair: ModelPair, known: Sequence[Known]) -> tuple[Tensor, Tensor, Tensor]:
    """(B, V) rows at several roots: the target's before, the draft's before, and the draft's at the root."""
    target = pair.target.get_output_embeddings()(_stacked(pair, [one.target_before for one in known]))
    before, root = (_draft_logits(pair, _stacked(pair, states)) for states in
                    ([one.draft_before for one in known], [one.draft_root for one in known]))  # fmt: skip
    own = [one.sampling.of("draft") for one in known]
    rows = _sampled(before, own), _sampled(root, own)
    return _sampled(target, [one.sampling for one in known]), _wide(pair, rows[0]), _wide(pair, rows[1])


def _stacked(pair: ModelPair, states: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(states)).to(next(pair.target.parameters()).dtype)


def _draft_logits(pair: ModelPair, states: Tensor) -> Tensor:
    output = pair.draft.output if is_head(pair.draft) else pair.draft.get_output_embeddings()
    return output(states)


def _sampled(logits: Tensor, samplings: Sequence[Sampling]) -> Tensor:
    """Rows, each under a sampling; those of equal sampling together."""
    if len(set(samplings)) == 1:
        return samplings[0].rows(logits)
    return torch.cat([sampling.rows(row[None]) for sampling, row in zip(samplings, logits, strict=True)])


def _wide(pair: ModelPair, rows: Tensor) -> Tensor:
    columns = columns_of(pair).get("draft")
    return columns.widen(rows) if columns else rows


@dataclass(frozen=True, eq=False)
class TextStates:
    """Both networks' states (L, D) and (L, E) along a text of L tokens."""

    target: Tensor
    draft: Tensor

    @classmethod
    @torch.inference_mode()
    def of(cls, pair: ModelPair, text: Sequence[int]) -> TextStates:
        """By one plain pass of each network."""
        tokens = torch.tensor([list(text)], device=pair.device)
        plain = {"use_cache": False, "logits_to_keep": 1}
        target = pair.target(input_ids=tokens, output_hidden_states=True, **plain).hidden_states[-1]
        if is_head(pair.draft):
            draft = pair.draft(tokens, shifted(target), **plain).states
        else:
            draft = pair.draft(input_ids=tokens, output_hidden_states=True, **plain).hidden_states[-1]
        return cls(target[0].float(), draft[0].float())

    def at(self, root: int, sampling: Sampling) -> Known:
        """What is known at the token of that number."""
        target, draft = (states[root - 1] if root else torch.zeros_like(states[0]) for states in
                         (self.target, self.draft))  # fmt: skip
        return Known(target, draft, self.draft[root], root + 1, sampling)
