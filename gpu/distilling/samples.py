"""Sequences drawn from a target: shards on disk, each a function of the target, the seed and the shard's number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ..files.whole import write_whole
from ..models.backend import torch, transformers
from ..models.pairs import ModelPair
from ..trees.sampling import Sampling, draw_each
from .plan import DistilPlan

HELD_OUT = "held-out"
WORDS = "VERIDRAFT"


@dataclass(frozen=True, eq=False)
class Samples:
    """S sequences of L tokens: ``tokens`` (S, L); the first ``given`` (S,) of each were put there, the others drawn."""

    tokens: NDArray[np.int32]
    given: NDArray[np.int32]

    def drawn(self) -> NDArray[np.bool_]:
        """(S, L - 1) whether the token after each place was drawn from the target's row there."""
        return np.arange(1, self.tokens.shape[1]) >= self.given[:, None]

    def rows(self, numbers: NDArray[np.int64] | slice) -> Samples:
        """Some of the sequences."""
        return Samples(self.tokens[numbers], self.given[numbers])

    def __len__(self) -> int:
        return len(self.tokens)


def joined(parts: Sequence[Samples]) -> Samples:
    """All sequences of several samples, in order."""
    return Samples(np.concatenate([part.tokens for part in parts]), np.concatenate([part.given for part in parts]))


def beginnings(target: ModelPair, prompts: Sequence[str] | None) -> tuple[tuple[int, ...], ...]:
    """What sequences begin with: the prompts, or without any the one beginning that leaves all words to the target.

    That is the chat template up to where a user's words would stand, so that the target writes the question too, or
    the beginning-of-text token where there is no template.  Raises ``ValueError`` for a prompt that
    :meth:`ModelPair.encode` refuses, and if there is nothing to begin with.
    """
    if prompts is not None:
        return tuple(target.encode(prompt) for prompt in prompts)
    if getattr(target.tokenizer, "chat_template", None):
        message = [{"role": "user", "content": WORDS}]
        text = target.tokenizer.apply_chat_template(message, tokenize=False)
        return (tuple(target.tokenizer(text.split(WORDS)[0], add_special_tokens=False)["input_ids"]),)
    first = target.target.config.bos_token_id
    if first is None:
        raise ValueError(f"target {target.target_name!r} has no token that begins a text: give prompts")
    return ((int(first),),)


@torch.inference_mode()
def draw_samples(
    model: Any, starts: Sequence[Sequence[int]], length: int, sampling: Sampling, seed: int
) -> Samples:
    """One sequence of ``length`` tokens for each start, drawn together on the model's device.

    Ends of sequence are tokens like others: what a target writes after one is drawn too.  A start may have up to
    ``length`` - 1 tokens.  Raises ``FloatingPointError`` if a logit is not finite.
    """
    device = next(model.parameters()).device
    given = torch.tensor([len(start) for start in starts], device=device)
    tokens = torch.zeros((len(starts), length), dtype=torch.long, device=device)
    for row, start in enumerate(starts):
        tokens[row, : len(start)] = torch.tensor(start)
    shortest = min(map(len, starts))
    uniforms = torch.Generator(device).manual_seed(seed)
    cache, fed, broken = transformers.DynamicCache(), tokens[:, :shortest], torch.zeros((), device=device)
    for place in range(shortest, length):
        logits = model(input_ids=fed, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
        broken = broken + ~torch.isfinite(logits.amax(dim=-1)).all()
        chosen = torch.rand(len(starts), dtype=torch.float64, device=device, generator=uniforms)
        drawn = draw_each(sampling.rows(logits), chosen)
        tokens[:, place] = torch.where(place < given, tokens[:, place], drawn)
        fed = tokens[:, place : place + 1]
    if broken:
        raise FloatingPointError("target logits are not finite while samples are drawn")
    return Samples(tokens.cpu().numpy().astype(np.int32), given.cpu().numpy().astype(np.int32))


@dataclass(frozen=True)
class SamplePlan:
    """How many sequences, how long, from which beginnings, at which temperature; ``shard`` are drawn together.

    The last tenth of the beginnings, if there are ten or more, is for the held-out sequences alone.
    Raises ``ValueError`` for numbers out of range, or a beginning that leaves nothing to draw.
    """

    starts: tuple[tuple[int, ...], ...]
    sequences: int
    held_out: int
    length: int
    temperature: float
    shard: int
    seed: int

    def __post_init__(self) -> None:
        for name in ("sequences", "held_out", "shard"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, but is {self.temperature}")
        for number, start in enumerate(self.starts):
            if len(start) >= self.length:
                raise ValueError(f"length is {self.length}, but prompt {number} has {len(start)} tokens already")

    @classmethod
    def of(cls, plan: DistilPlan, target: ModelPair) -> SamplePlan:
        """The samples of a distillation's plan; raises ``ValueError`` where it does not fit the target."""
        limit = getattr(target.target.config, "max_position_embeddings", None)
        if limit is not None and plan.length > limit:
            raise ValueError(f"length is {plan.length}, but the target has {limit} positions")
        starts = beginnings(target, plan.prompts)
        return cls(starts, plan.sequences, plan.held_out, plan.length, plan.temperature, plan.shard, plan.seed)

    def shards(self) -> dict[str, int]:
        """The names of the shards and their numbers of sequences; the held-out ones are a shard of their own."""
        counts = [min(self.shard, self.sequences - done) for done in range(0, self.sequences, self.shard)]
        return {HELD_OUT: self.held_out} | {f"shard-{number:05d}": count for number, count in enumerate(counts)}

    def draw(self, model: Any, name: str) -> Samples:
        """The samples of a shard."""
        seed = int(np.random.default_rng([self.seed, crc32(name.encode())]).integers(2**62))
        few = len(self.starts) // 10
        ours = self.starts[-few:] if few and name == HELD_OUT else self.starts[: len(self.starts) - few]
        first = 0 if name == HELD_OUT else int(name.removeprefix("shard-")) * self.shard
        starts = [ours[(first + row) % len(ours)] for row in range(self.shards()[name])]
        return draw_samples(model, starts, self.length, Sampling(self.temperature), seed)


def sampled(
    model: Any, plan: SamplePlan, folder: Path, told: Callable[[int, int, str], None]
) -> tuple[Samples, Samples]:
    """The training and the held-out samples; shards that the folder holds are read, the others drawn and kept there.

    ``told(done, all, name)`` hears of every shard.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for number, name in enumerate(plan.shards()):
        place = folder / f"{name}.npz"
        if not place.exists():
            drawn = plan.draw(model, name)
            write_whole(place, partial(np.savez, tokens=drawn.tokens, given=drawn.given))
        with np.load(place) as held:
            found[name] = Samples(held["tokens"], held["given"])
        told(number + 1, len(plan.shards()), name)
    return joined([part for name, part in found.items() if name != HELD_OUT]), found[HELD_OUT]
