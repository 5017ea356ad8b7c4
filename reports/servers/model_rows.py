"""Rows along a text from networks in transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from veridraft.simulate.batches.rows import Floats
from veridraft.simulate.transcripts import KnownRow, Transcript, sampled_rows

if TYPE_CHECKING:
    from veridraft.gpu.models.pairs import ModelPair


class ModelRows:
    """The target's rows of a pair along a transcript, behind its sampling settings; the model's own if it is greedy.

    known : the likeliest tokens that are kept of each row, the others as one; None keeps all, which is a megabyte of
        JSON for each token at V = 49,152
    """

    def __init__(self, pair: ModelPair, known: int | None = None) -> None:
        self._pair, self._known = pair, known or pair.vocabulary_size

    def __call__(self, transcript: Transcript) -> Sequence[KnownRow]:
        """One row for each token; ``ValueError`` for tokens that the model does not have."""
        text = (*transcript.prompt, *transcript.tokens)
        if not transcript.prompt:
            raise ValueError("a prompt is empty: a model's rows need a token before them")
        if max(text) >= self._pair.vocabulary_size:
            raise ValueError(
                f"a text has the token {max(text)}, but {self._pair.target_name} knows {self._pair.vocabulary_size}: "
                "another model's tokenizer made it"
            )
        rows = _rows(self._pair.target, text, len(transcript.prompt))
        kept = rows if transcript.greedy else sampled_rows(rows, transcript.sampling)
        return [KnownRow.of_row(row).cut(self._known) for row in kept]


def _rows(network: Any, text: Sequence[int], prompt: int) -> Floats:
    """(n, V) the rows of all tokens behind the prompt, from one pass."""
    from veridraft.gpu.models.backend import torch

    with torch.inference_mode():
        ids = torch.tensor([text[:-1]], device=next(network.parameters()).device)
        logits = network(ids).logits[0, prompt - 1 :].double()
        return np.asarray(torch.softmax(logits, dim=-1).cpu().numpy())
