"""What a head learns from: texts that a target wrote, with its own states along them, drawn and kept in shards.

A *state* is what the target's output layer reads at a place: the last hidden state, behind the final norm.  It is kept
from the very passes that drew the text, in half precision.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ...files.whole import check_same, write_json, write_whole
from ...models.backend import torch, transformers
from ...models.pairs import ModelPair
from ...trees.sampling import draw_each
from .openings import Openings

Tensor = torch.Tensor

HELD_OUT = "held-out"
SETTINGS = "features.json"


@dataclass(frozen=True, eq=False)
class Features:
    """S texts of L tokens and what the target knew along them.

    tokens : (S, L);  drawn : (S, L) whether the token was drawn from the target's row before it, or put there
    states : (S, L - 1, D) half precision, the state at each place but the last
    log_totals : (S, L - 1) the logarithm of the sum of the exponentials of all logits: with the state and some rows
        of the output layer it gives the target's probabilities of their tokens at temperature 1
    mass : (V,) the sum of the target's rows at temperature 1 over all places whose next token was drawn
    """

    tokens: NDArray[np.int32]
    drawn: NDArray[np.bool_]
    states: NDArray[np.float16]
    log_totals: NDArray[np.float32]
    mass: NDArray[np.float64]

    def rows(self, numbers: NDArray[np.int64] | slice) -> Features:
        """Some of the texts; the mass stays that of all."""
        states, log_totals = self.states[numbers], self.log_totals[numbers]
        return Features(self.tokens[numbers], self.drawn[numbers], states, log_totals, self.mass)

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class FeaturePlan:
    """How shards are drawn: ``rows`` texts of ``length`` tokens at once; row r at temperature number r, in turn.

    Raises ``ValueError`` for numbers out of range.
    """

    rows: int = 112
    length: int = 256
    temperatures: tuple[float, ...] = (1.0, 1.0, 1.0, 0.6)
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("rows", 1), ("length", 2), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, but is {getattr(self, name)}")
        if not self.temperatures or not all(0 < one < np.inf for one in self.temperatures):
            raise ValueError(f"temperatures must be above 0, but are {self.temperatures}")

    def settings(self, target: ModelPair) -> dict[str, Any]:
        """What shards in one folder must agree in, as JSON gives it back."""
        own = {"rows": self.rows, "length": self.length, "temperatures": list(self.temperatures), "seed": self.seed}
        return {"target": target.target_name, "vocabulary_size": target.vocabulary_size} | own

    def draw(self, target: ModelPair, name: str) -> Features:
        """The shard of that name, a function of the plan, the target, the installed public text and the name."""
        rng = np.random.default_rng([self.seed, crc32(name.encode())])
        openings = Openings(target, name == HELD_OUT)
        heats = [self.temperatures[row % len(self.temperatures)] for row in range(self.rows)]
        return draw_features(target, openings, heats, self.length, rng)


class _Scripts:
    """For each text the tokens that are put next; where there are none, the target's draw stands."""

    def __init__(self, openings: Openings, count: int, length: int, ends: frozenset[int], rng: Any) -> None:
        self.openings, self.ends, self.rng = openings, ends, rng
        self.waiting = [deque(openings.first(rng)[: length - 1]) for _ in range(count)]

    def together(self) -> list[list[int]]:
        """As many first tokens of each text as all have."""
        shortest = min(map(len, self.waiting))
        return [[one.popleft() for _ in range(shortest)] for one in self.waiting]

    def chosen(self, drawn: Sequence[int]) -> tuple[list[int], list[bool]]:
        """The next token of each text, and whether it was drawn; behind a drawn end the next request is put."""
        tokens, flags = [], []
        for waiting, token in zip(self.waiting, drawn, strict=True):
            flags.append(not waiting)
            tokens.append(waiting.popleft() if waiting else token)
            if flags[-1] and token in self.ends:
                waiting.extend(self.openings.after_end(self.rng))
        return tokens, flags


def draw_features(
    target: ModelPair, openings: Openings, temperatures: Sequence[float], length: int, rng: np.random.Generator
) -> Features:
    """One text of ``length`` tokens for each temperature, drawn together on the target's device.

    Raises ``FloatingPointError`` if a logit is not finite.
    """
    found = _Drawing(target, openings, temperatures, length, rng).run()
    if not np.isfinite(found.log_totals).all():
        raise FloatingPointError("target logits are not finite while features are drawn")
    return found


class _InPlace(transformers.DynamicLayer):
    """Keys and values of one layer with room for whole texts, which are not copied for each new token."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length, self.filled = length, 0

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write new states (S, heads, n, width) behind those there are; all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            room = (*key_states.shape[:2], self.length, key_states.shape[3])
            self.keys, self.values = key_states.new_empty(room), value_states.new_empty(room)
        begin, self.filled = self.filled, self.filled + key_states.shape[2]
        for buffer, states in ((self.keys, key_states), (self.values, value_states)):
            buffer[:, :, begin : self.filled] = states
        return self.keys[:, :, : self.filled], self.values[:, :, : self.filled]

    def get_seq_length(self) -> int:
        """How many tokens have been read."""
        return self.filled


class _Drawing:
    """Texts on their way: parts (S, n, ...) of everything that :class:`Features` holds."""

    def __init__(
        self,
        target: ModelPair,
        openings: Openings,
        temperatures: Sequence[float],
        length: int,
        rng: np.random.Generator,
    ) -> None:
        self.target, self.temperatures, self.length, self.rng = target, temperatures, length, rng
        self.scripts = _Scripts(openings, len(temperatures), length, target.end_tokens, rng)
        first = np.array(self.scripts.together())
        self.tokens, self.drawn = [first], [np.zeros(first.shape, dtype=bool)]
        self.states: list[NDArray[np.float16]] = []
        self.log_totals: list[NDArray[np.float32]] = []
        self.mass = torch.zeros(target.vocabulary_size, dtype=torch.float64, device=target.device)
        count = target.target.config.num_hidden_layers
        self.cache = transformers.Cache(layers=[_InPlace(length) for _ in range(count)])

    @torch.inference_mode()
    def run(self) -> Features:
        """The finished texts."""
        for _ in range(self.length - self.tokens[0].shape[1]):
            self._put(self._read(self.tokens[-1]))
        tokens, drawn, states, log_totals = (
            np.concatenate(parts, axis=1) for parts in (self.tokens, self.drawn, self.states, self.log_totals)
        )
        return Features(tokens.astype(np.int32), drawn, states, log_totals, self.mass.cpu().numpy())

    def _read(self, fed: NDArray[np.int64]) -> Tensor:
        """One pass of the target over the newest tokens; its rows (S, V) behind the last, at temperature 1."""
        tokens = torch.from_numpy(fed).to(self.target.device)
        seen = self.target.target(
            input_ids=tokens, past_key_values=self.cache, use_cache=True, output_hidden_states=True
        )
        self.states.append(seen.hidden_states[-1].half().cpu().numpy())
        log_totals = torch.logsumexp(seen.logits.float(), dim=-1)
        self.log_totals.append(log_totals.cpu().numpy())
        return (seen.logits[:, -1].float() - log_totals[:, -1:]).exp_()

    def _put(self, rows: Tensor) -> None:
        """Draw or put the next token of each text, after rows (S, V) at temperature 1."""
        uniforms = torch.from_numpy(self.rng.random(len(rows))).to(rows.device)
        masses = rows.double()
        for row, heat in enumerate(self.temperatures):
            if heat != 1:
                masses[row] **= 1 / heat
        tokens, flags = self.scripts.chosen(draw_each(masses, uniforms).tolist())
        self.mass += torch.tensor(flags, dtype=rows.dtype, device=rows.device) @ rows
        self.tokens.append(np.array(tokens)[:, None])
        self.drawn.append(np.array(flags)[:, None])


def shard_name(number: int) -> str:
    """The name of a shard to learn from."""
    return f"shard-{number:05d}"


def shard_place(folder: Path, name: str) -> Path:
    """The file of a shard."""
    return folder / f"{name}.npz"


def draw_shards(
    target: ModelPair, plan: FeaturePlan, folder: Path, count: int, told: Callable[[int, int, str], None]
) -> None:
    """Draw the held-out shard and ``count`` shards to learn from, those left out that the folder holds already.

    Every file is renamed into place and never seen half written, so that a killed run loses the shard that it was in.
    ``told(done, all, name)`` hears of every shard.  Raises ``ValueError`` for a folder that holds shards of another
    plan or target.
    """
    check_shards(folder, plan, target)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / SETTINGS).exists():
        write_json(folder / SETTINGS, plan.settings(target))
    names = [HELD_OUT, *map(shard_name, range(count))]
    for number, name in enumerate(names):
        place = shard_place(folder, name)
        if not place.exists():
            write_whole(place, partial(np.savez, **vars(plan.draw(target, name))))
        told(number + 1, len(names), name)


def check_shards(folder: Path, plan: FeaturePlan, target: ModelPair) -> None:
    """Raise ``ValueError`` for a folder that holds shards of another plan or target; write nothing."""
    if (folder / SETTINGS).exists():
        held = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        check_same(held, plan.settings(target), f"features {str(folder)!r} were drawn", "give another folder")


def read_shard(folder: Path, name: str) -> Features:
    """A shard that was drawn before."""
    with np.load(shard_place(folder, name)) as held:
        return Features(*(held[field] for field in Features.__dataclass_fields__))
