"""A head on a target, after EAGLE (arXiv:2401.15077): a draft that goes on from the target's own last hidden state.

At each place it reads the token there and the target's *state* at the place before (what the output layer reads: the
last hidden state, behind the final norm), or its own where the target has none yet; it is zero before a text's first
token.  Its output is its guess of the state at the place itself, which the target's output layer turns into a row.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..backend import torch
from ..layer_skip import layer_list, without_layers

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class HeadOutput:
    """Logits (B, kept, M) of the head's tokens, and the states (B, n, D) that they were made of."""

    logits: Tensor
    states: Tensor


class Head(torch.nn.Module):
    """A projection of state and embedding, decoder layers of the target's shape, the target's final norm and output.

    target : a transformers model with a base model and an output layer
    layers : how many; they begin as copies of the target's last ones, the projection as the sum of its inputs,
        which :meth:`balance` brings to one scale
    tokens : the M tokens, ascending, that it can propose: all others have probability 0 in its rows

    Embeddings, final norm and output rows are the target's and are not learnt.  Raises ``ValueError`` for numbers or
    tokens that the target has not.
    """

    tokens: Tensor

    def __init__(self, target: Any, layers: int, tokens: Sequence[int]) -> None:
        super().__init__()
        count, size = target.config.num_hidden_layers, target.config.vocab_size
        if not 1 <= layers <= count:
            raise ValueError(f"a head has 1 to {count} layers on this target, not {layers}")
        if list(tokens) != sorted(set(tokens)) or not tokens or tokens[0] < 0 or tokens[-1] >= size:
            raise ValueError(f"a head's tokens must be distinct, ascending and lie in [0, {size})")
        cut = without_layers(target, range(count - layers))
        self.config, self.decoder = cut.config, cut.base_model
        holder, name = layer_list(self.decoder, layers)
        self.layers = copy.deepcopy(getattr(holder, name))
        setattr(holder, name, self.layers)
        rows = target.get_output_embeddings().weight.detach()
        chosen = torch.tensor(list(tokens), device=rows.device)
        self.register_buffer("tokens", chosen, persistent=False)
        wide = rows.shape[1]
        self.projection = torch.nn.Linear(2 * wide, wide, bias=False, device=rows.device, dtype=rows.dtype)
        with torch.no_grad():
            self.projection.weight.copy_(torch.eye(wide).repeat(1, 2))
        self.output = torch.nn.Linear(wide, len(chosen), bias=False, device="meta")
        self.output.weight = torch.nn.Parameter(rows[chosen], requires_grad=False)
        self.eval()

    def balance(self, scale: float) -> None:
        """Let the projection begin with embeddings at the scale of the states, whose root mean square is given."""
        with torch.no_grad():
            embeddings = self.decoder.get_input_embeddings().weight
            wide = embeddings.shape[1]
            self.projection.weight[:, wide:] *= scale / embeddings.float().square().mean().sqrt()

    def in_float32(self) -> Head:
        """The head itself, its own weights and its output rows in float32, to be taught; the target stays as it is."""
        self.own.float()
        self.output.float()
        return self

    @property
    def own(self) -> torch.nn.ModuleDict:
        """What is learnt, and all that a file of the head holds."""
        return torch.nn.ModuleDict({"projection": self.projection, "layers": self.layers})

    def forward(
        self, input_ids: Tensor, states: Tensor | None = None, logits_to_keep: int = 0, **inputs: Any
    ) -> HeadOutput:
        """One pass over tokens (B, n) and the states (B, n, D) before them; zeros without any.

        Other inputs are those of the target's base model; logits are those of the last places, 0 for all.
        """
        with torch.no_grad():  # the target's own, as wide as its vocabulary
            embedded = self.decoder.get_input_embeddings()(input_ids).to(self.projection.weight.dtype)
        before = torch.zeros_like(embedded) if states is None else states.to(embedded.dtype)
        joined = self.projection(torch.cat([before, embedded], dim=-1))
        guessed = self.decoder(inputs_embeds=joined, **inputs).last_hidden_state
        return HeadOutput(self.output(guessed[:, -logits_to_keep:]), guessed)


@torch.inference_mode()
def logits_below(head: Head, target: Any, text: Sequence[int], path: Sequence[int]) -> Tensor:
    """(M,) the head's logits after a text, whose states the target gives, and a path drafted below it.

    By plain passes over all of it, without a cache, one for each token of the path and one for the last of the text.
    """
    tokens = torch.tensor([[*text, *path]], device=head.tokens.device)
    states = target(input_ids=tokens[:, : len(text)], use_cache=False, output_hidden_states=True).hidden_states[-1]
    before = shifted(states)
    for end in range(len(text), tokens.shape[1] + 1):
        output = head(tokens[:, :end], before, use_cache=False)
        before = torch.cat([before, output.states[:, -1:]], dim=1)
    return output.logits[0, -1]


def shifted(states: Tensor) -> Tensor:
    """(B, n, D) at each place the state of the place before; zero at the first."""
    return torch.cat([torch.zeros_like(states[:, :1]), states[:, :-1]], dim=1)


def is_head(model: Any) -> bool:
    """True for a draft that must be told the target's states."""
    return isinstance(model, Head)
