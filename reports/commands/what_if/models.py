"""Acceptance of a pair of models that are at hand: trees are drafted afresh along texts that the target writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count as numbers_from
from itertools import islice
from typing import TYPE_CHECKING

from veridraft.gpu.models.names import check_names
from veridraft.theory.policies.base import Policy
from veridraft.theory.rows.trees import DraftTree

from ...running.models import LOADING, missing_packages
from ...running.progress import Talk
from .sources import Sampling, Source

if TYPE_CHECKING:
    from veridraft.gpu.models.pairs import ModelPair

EMBEDDED = "embedded"
"""The word for the pair that comes with the package."""

TEXT_TOKENS = 24
"""Tokens of a text along which trees are drafted, before the next prompt's turn."""

TREES_OF_MODELS = 24
"""Trees of a policy: each holds a row of float64 over the whole vocabulary at every node."""


@dataclass
class _Begun:
    """An endless list of trees, and how many of them were given."""

    trees: Iterator[DraftTree]
    given: int = 0

    def next(self, count: int) -> list[DraftTree]:
        """So many more."""
        self.given += count
        return list(islice(self.trees, count))


@dataclass(frozen=True, eq=False)
class ModelSource(Source):
    """Two networks: the trees of a policy at the steps of texts that they write.

    The texts are written with NSS, which is lossless for every policy and accepts few tokens: roots stand close to
    one another along what the target writes.  A list of trees that was begun goes on where it was when more are asked
    for, as the stages of a search do.
    """

    pair: ModelPair
    trees_at_most = TREES_OF_MODELS
    _begun: dict[tuple[Policy, Sampling, int], _Begun] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:  # type: ignore[override]
        """The target's and the draft's."""
        return f"{self.pair.target_name} with {self.pair.draft_name}"

    @property
    def told(self) -> str:
        """Their names, and the size of the vocabulary."""
        return f"{self.name}, |V| = {self.pair.vocabulary_size}"

    def trees(self, policy: Policy, sampling: Sampling, count: int, seed: int, first: int = 0) -> list[DraftTree]:
        """Trees of one text after another."""
        key = policy, sampling, seed
        begun = self._begun.get(key)
        if begun is None or begun.given != first:
            begun = self._begun[key] = _Begun(self._texts(policy, sampling, seed))
            begun.next(first)
        return begun.next(count)

    def _texts(self, policy: Policy, sampling: Sampling, seed: int) -> Iterator[DraftTree]:
        """The trees of one text after another, the prompts in turn, each when it is asked for."""
        from veridraft.gpu.decoding.recording import recorded_steps
        from veridraft.gpu.models.prompts import prompts_of
        from veridraft.gpu.trees.sampling import Sampling as RowSampling

        prompts = prompts_of(self.pair)
        settings = RowSampling(sampling.temperature, top_p=sampling.top_p)
        for text in numbers_from(seed * len(prompts)):
            prompt = prompts[text % len(prompts)]
            for _, tree in recorded_steps(self.pair, prompt, "nss", policy, settings, TEXT_TOKENS, text):
                yield tree


def check_model_words(words: Sequence[str]) -> None:
    """Raise ``ValueError`` for words that name no pair, or packages that are missing, before anything is loaded."""
    if len(words) not in (1, 2) or (len(words) == 1 and words[0] != EMBEDDED):
        raise ValueError(f"models must be {EMBEDDED}, or a target and a draft, but are {' '.join(words)!r}")
    check_names(*_names(words))
    if missing := missing_packages():
        raise ValueError(missing)


def model_source(words: Sequence[str], device: str) -> ModelSource:
    """The pair that the words name, loaded."""
    from veridraft.gpu.models.pairs import check_device, load_pair

    check_device(device)
    Talk.say(LOADING)
    return ModelSource(load_pair(*_names(words), device))


def _names(words: Sequence[str]) -> tuple[str | None, str | None]:
    return (None, None) if len(words) == 1 else (words[0], words[1])
