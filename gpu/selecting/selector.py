"""A finished selector: read from its folder, refused on another pair, asked at each root while texts are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from veridraft.theory.policies.paths import Delayed
from veridraft.theory.rows.near_names import did_you_mean

from ..decoding.drafting.known import Known
from ..files.whole import read_facts
from ..models.backend import torch
from ..models.pairs import ModelPair
from .data.features import scalars_of, with_machine
from .fingerprint import fingerprint_of
from .network import Inputs, SelectorNetwork
from .plan import SelectorPlan
from .schema import BLOCKS, SCALARS

CARD = "selector.json"


@dataclass(frozen=True, eq=False)
class Selector:
    """The network of one verifier, with all that it was made for: a chooser for :class:`.Selected`.

    Sampling may be another than those that it learnt from: the choice is then a guess, and as lossless.
    """

    verifier: str
    network: SelectorNetwork
    plan: SelectorPlan
    pair: dict[str, Any]

    @classmethod
    def load(cls, folder: str | Path, verifier: str, pair: ModelPair | None = None) -> Selector:
        """The selector of a verifier in a folder.

        Raises ``ValueError`` for a folder without one, a verifier that it was not made for, features of another
        schema, and a pair of other weights than its own.
        """
        card = read_card(Path(folder))
        plan = SelectorPlan.of(card["plan"])
        if verifier not in plan.roots.verifiers:
            known = plan.roots.verifiers
            raise ValueError(f"verifier {verifier!r} has no selector in {str(folder)!r}, which has "
                             f"{', '.join(known)}{did_you_mean(verifier, known)}")  # fmt: skip
        if card["schema"]["scalars"] != list(SCALARS) or list(card["schema"]["states"]) != list(BLOCKS):
            raise ValueError(f"{str(folder)!r} holds a selector of other features than this version reads")
        place = weights_place(Path(folder), verifier)
        if not place.exists():
            raise ValueError(f"{str(place)!r} is missing: the selector is not finished")
        widths = list(card["schema"]["states"].values())
        allowed = plan.roots.grid.allowed(verifier).tolist()
        network = SelectorNetwork(widths, len(SCALARS), allowed, plan.roots.temperatures)
        network.load_state_dict(torch.load(place, map_location="cpu", weights_only=True))
        found = cls(verifier, network.eval(), plan, card["pair"])
        if pair is not None:
            found.require(pair)
        return found

    @property
    def name(self) -> str:
        """Whose actions it chooses."""
        return self.verifier

    @cached_property
    def actions(self) -> tuple[Delayed, ...]:
        """The different policies that it may choose."""
        grid = self.plan.roots.grid
        kept = grid.allowed(self.verifier)
        return tuple(dict.fromkeys(policy for policy, is_kept in zip(grid.policies, kept, strict=True) if is_kept))

    def require(self, pair: ModelPair) -> None:
        """Raise ``ValueError`` unless the pair is that which it learnt from, by names and weights."""
        found = fingerprint_of(pair)
        for name, value in self.pair.items():
            if found[name] != value:
                raise ValueError(f"the selector was made for another pair: its {name} are {value!r}, "
                                 f"those of this pair {found[name]!r}")  # fmt: skip

    def choose(self, pair: ModelPair, known: Sequence[Known]) -> list[Delayed]:
        """The action at each root, the likeliest one."""
        scalars = with_machine(scalars_of(pair, known), self.plan.machine)
        states = {name: torch.stack([getattr(one, name) for one in known]).float().cpu() for name in BLOCKS}
        chosen = self.pick(Inputs(states, torch.from_numpy(scalars).float()))
        return [self.plan.roots.grid.policies[number] for number in chosen]

    @torch.inference_mode()
    def pick(self, inputs: Inputs) -> list[int]:
        """(R,) the numbers of the likeliest actions."""
        found: list[int] = self.network(inputs).argmax(dim=1).tolist()
        return found


def weights_place(folder: Path, verifier: str) -> Path:
    """The file of a verifier's network."""
    return folder / f"{verifier}.pt"


def read_card(folder: Path) -> dict[str, Any]:
    """What a folder says of its selectors; raises ``ValueError`` for one that holds none."""
    return read_facts(folder / CARD, "selector", ("plan", "pair", "schema"))
