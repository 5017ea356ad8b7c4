"""Networks whose short passes go through ``torch.compile``: opt-in, and one graph for many shapes.

A run of :class:`.BatchDecoder` has passes of many widths behind contexts that grow.  Shapes are symbols of the graph,
so a network is compiled twice for one text at a time: for passes of one token and for longer ones.  For modes that
record CUDA graphs, which hold one shape each, widths and seen slots are rounded up, so that there are few.  No pass is
known to have been recorded as one yet: this has run on a CPU only.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from ...models.backend import torch
from ...models.heads.network import is_head
from ...models.layer_skip import shared_copy
from ...models.pairs import ModelPair
from .cache import SlotLayer, Window
from .packing import PackedLinear, require_whole

Tensor = torch.Tensor

MOST_TOKENS = 64
"""Longer passes, such as those over a prompt, are run as they were: computing dominates there."""

SLOTS = 64
"""For CUDA graphs a pass sees a multiple of so many slots."""

MODES = {"default": False, "max-autotune-no-cudagraphs": False, "reduce-overhead": True, "max-autotune": True}
"""The modes of ``torch.compile``, and whether they record CUDA graphs."""


def compiled_pair(pair: ModelPair, mode: str | None = None, backend: str = "inductor") -> ModelPair:
    """The pair with passes of 1 to 64 tokens of a :class:`.BatchModel` compiled, and all others as they are.

    mode, backend : as ``torch.compile`` has them; the default mode is ``reduce-overhead`` on CUDA, else ``default``

    Nothing is compiled before the first such pass.  The given pair's networks are left as they are; logits differ in
    rounding only.  Past torch's limit of recompilations (8 in torch
    2.13, both networks together) the shapes that are left run uncompiled, and torch warns.
    Raises ``ValueError`` for an unknown mode, packed layers, and networks compiled already or not in one piece.
    """
    chosen = mode or ("reduce-overhead" if pair.device.type == "cuda" else "default")
    if chosen not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, but is {mode!r}")
    for role in ("target", "draft"):
        _require_plain(role, getattr(pair, role))
    target = _compiled(pair.target, chosen, backend)
    draft = target if pair.draft is pair.target else pair.draft and _compiled(pair.draft, chosen, backend)
    return replace(pair, target=target, draft=draft)


def _require_plain(role: str, model: Any) -> None:
    """Raise for a network, if there is one, that does not trace into one graph on one device."""
    require_whole(role, model, "compiled")
    if is_head(model):
        raise ValueError(f"{role} is a head, which needs the target's states: a compiled pass gives logits alone")
    if model is not None and any(isinstance(module, PackedLinear) for module in model.modules()):
        raise ValueError(f"{role} has packed layers, which cannot be compiled: give the pair that was packed")
    if isinstance(getattr(model, "forward", None), ShortPasses):
        raise ValueError(f"{role} is compiled already")


def _compiled(model: Any, mode: str, backend: str) -> Any:
    """A copy of the network that shares its parameters, with another ``forward``."""
    clone = shared_copy(model, {})
    clone.forward = ShortPasses(clone.forward, mode, backend)
    return clone


class ShortPasses:
    """A network's ``forward`` that runs the short passes of a :class:`.BatchModel` compiled.

    ``shapes`` holds the batch rows, the width and the seen slots of every compiled pass made so far.
    """

    def __init__(self, forward: Any, mode: str, backend: str = "inductor") -> None:
        self.plain, self.rounds = forward, MODES[mode]
        self.compiled = torch.compile(forward, mode=mode, backend=backend, dynamic=True)
        self.shapes: set[tuple[int, int, int]] = set()

    def __call__(self, *arguments: Any, **inputs: Any) -> Any:
        """The network's output; of a compiled pass, an object that has ``logits`` only."""
        layers = getattr(inputs.get("past_key_values"), "layers", None)
        if not arguments and layers and _is_short(inputs["input_ids"], layers[0]):
            return SimpleNamespace(logits=self._logits(layers, **inputs))
        return self.plain(*arguments, **inputs)

    def _logits(
        self, layers: Any, input_ids: Tensor, position_ids: Tensor, attention_mask: Tensor, **inputs: Any
    ) -> Tensor:
        """(B, kept, V); the graph gives all rows, since to keep some would be another graph."""
        width, kept = input_ids.shape[1], inputs.pop("logits_to_keep")
        window, buffer = layers[0].window, layers[0].keys
        more, stop = self._room(width, window.stop, buffer.shape[2])
        pad = torch.nn.functional.pad
        # padding stands on the left, is written to the forgotten slot, and sees what there is
        slots = pad(window.slots, (more, 0), value=buffer.shape[2] - 1)
        mask = pad(pad(attention_mask, (0, stop - window.stop), value=False), (0, 0, more, 0), value=True)
        self._place(layers, Window(window.rows, slots, stop))
        self.shapes.add((len(input_ids), width + more, stop))
        tokens, positions = pad(input_ids, (more, 0)), pad(position_ids, (more, 0))
        config: Any = torch.fx.experimental._config
        with config.patch(use_duck_shape=False):  # equal sizes are not the same symbol
            output = self.compiled(
                input_ids=tokens, position_ids=positions, attention_mask=mask, logits_to_keep=0, **inputs
            )
        logits = output.logits[:, -kept:]
        return logits.clone() if self.rounds else logits  # the next replay of a CUDA graph writes over its output

    def _room(self, width: int, stop: int, capacity: int) -> tuple[int, int]:
        """How many tokens to add, and how many slots to see: rounded up for CUDA graphs."""
        if not self.rounds:
            return 0, stop
        return max(2, 1 << (width - 1).bit_length()) - width, min(-(-stop // SLOTS) * SLOTS, capacity)

    def _place(self, layers: Any, window: Window) -> None:
        """Let the layers write and read there; their buffers stay where they are, which CUDA graphs must know."""
        for layer in layers:
            layer.window = window
            if self.rounds:
                for buffer in (layer.keys, layer.values):
                    torch._dynamo.mark_static_address(buffer, guard=False)
        if self.rounds:
            torch.compiler.cudagraph_mark_step_begin()


def _is_short(tokens: Tensor, layer: Any) -> bool:
    """True for a pass of few tokens over the first batch rows, once the cache is allocated."""
    if not isinstance(layer, SlotLayer) or not layer.is_initialized or layer.window is None:
        return False
    return tokens.shape[1] <= MOST_TOKENS and layer.window.rows.start == 0
