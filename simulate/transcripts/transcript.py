"""One request of a decoder as a record: what was asked, what came out, and what is known of the rows along it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np

from ..batches.rows import Floats, Ints

SUM_SLACK = 1e-3
"""How far a row may sum to more than 1, as rows of half precision do; it is divided by its sum then."""

SAMPLING = ("temperature", "top_k", "top_p", "min_p")
"""The sampling settings that a transcript may state."""


@dataclass(frozen=True, eq=False)
class KnownRow:
    """What is known of a row: the masses of some tokens; all others together have the rest.

    ids : (K,) tokens, each once
    masses : (K,) their probabilities, of sum at most 1
    """

    ids: Ints
    masses: Floats

    def __post_init__(self) -> None:
        ids, masses = np.asarray(self.ids, dtype=np.int64), np.asarray(self.masses, dtype=np.float64)
        if not (ids[1:] > ids[:-1]).all():
            order = np.argsort(ids, kind="stable")
            ids, masses = ids[order], masses[order]
            if (ids[1:] == ids[:-1]).any():
                raise ValueError(f"the token {int(ids[1:][ids[1:] == ids[:-1]][0])} stands twice in one row")
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "masses", _checked_masses(masses))

    @classmethod
    def of_row(cls, row: Floats) -> KnownRow:
        """All of a row (V,)."""
        return cls(np.arange(len(row)), row)

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> KnownRow:
        """The row of ``{"ids": [...], "logp": [...]}``, natural logarithms; null or "-inf" stands for probability 0."""
        if not isinstance(values, Mapping) or set(values) < {"ids", "logp"}:
            raise ValueError('a row is an object {"ids": [...], "logp": [...]}')
        ids, logs = _integers("ids", values["ids"]), [_logarithm(value) for value in values["logp"]]
        if len(ids) != len(logs):
            raise ValueError(f"a row has {len(ids)} ids, but {len(logs)} logp")
        return cls(np.array(ids, dtype=np.int64), np.exp(logs))

    def to_json(self) -> dict[str, Any]:
        """As :meth:`of_json` reads it; tokens of probability 0 are left out."""
        kept = self.masses > 0
        return {"ids": self.ids[kept].tolist(), "logp": np.log(self.masses[kept]).tolist()}

    @property
    def rest(self) -> float:
        """The mass of all other tokens."""
        return max(0.0, 1.0 - float(self.masses.sum()))

    def at(self, ids: Ints) -> Floats:
        """(len(ids) + 1,) the masses of these tokens, and last that of all others; unknown ones count as others."""
        masses = np.empty(len(ids) + 1)
        masses[:-1] = self.masses if same_tokens(ids, self.ids) else self._known_of(ids)
        masses[-1] = max(0.0, 1.0 - masses[:-1].sum())
        return masses

    def _known_of(self, ids: Ints) -> Floats:
        """(len(ids),) the masses of these tokens, 0 where one is not known."""
        if not len(self.ids):
            return np.zeros(len(ids))
        place = np.minimum(self.ids.searchsorted(ids), len(self.ids) - 1)
        return np.where(self.ids[place] == ids, self.masses[place], 0.0)

    def likeliest(self, count: int) -> Ints:
        """The tokens of the ``count`` largest masses, at most all that are known, in the order of ``ids``."""
        return np.asarray(self.ids[self._largest(count)])

    def _largest(self, count: int) -> Ints | slice:
        """The places of the ``count`` largest masses, at most all."""
        if len(self.ids) <= count:
            return slice(None)
        return np.sort(np.argpartition(-self.masses, count - 1)[:count])

    def cut(self, count: int) -> KnownRow:
        """The row with its ``count`` likeliest tokens alone; the others count as one."""
        if len(self.ids) <= count:
            return self
        kept = self._largest(count)
        return KnownRow(self.ids[kept], self.masses[kept])


@dataclass(frozen=True, eq=False)
class Transcript:
    """One request.

    Fields
    ------
    prompt, tokens : what was given, and every token that was drawn after it, one that ended the text among them
    sampling : the settings that were asked for, by the names in ``SAMPLING``; empty for those of the rows
    seed : of the request, or None
    accepted, drafted : for each step how many drafts were kept, and how many there were; None if not told.  A step
        emits one token more than it keeps; the last may have been cut.
    rows : for each token the law that it must have, behind the sampling settings; None if it is to be found elsewhere
    draft_rows : for each token the draft's law at its place, None where it is not known; None if none is
    """

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    sampling: Mapping[str, float]
    seed: int | None = None
    accepted: tuple[int, ...] | None = None
    drafted: tuple[int, ...] | None = None
    rows: tuple[KnownRow, ...] | None = None
    draft_rows: tuple[KnownRow | None, ...] | None = None

    def __post_init__(self) -> None:
        for name, rows in (("rows", self.rows), ("draft_rows", self.draft_rows)):
            if rows is not None and len(rows) != len(self.tokens):
                raise ValueError(f"{name} has {len(rows)} entries for {len(self.tokens)} tokens")
        if self.accepted is not None:
            self._check_steps(self.accepted)

    def _check_steps(self, accepted: tuple[int, ...]) -> None:
        written, last = sum(accepted) + len(accepted), (accepted[-1] + 1 if accepted else 0)
        if not written - last < len(self.tokens) <= written and (accepted or self.tokens):
            raise ValueError(
                f"accepted tells of {written} tokens in {len(accepted)} steps, but there are {len(self.tokens)}: each "
                "step emits one more than it accepts, and only the last may be cut"
            )
        if self.drafted is None:
            return
        if len(self.drafted) != len(accepted):
            raise ValueError(f"drafted has {len(self.drafted)} steps, accepted {len(accepted)}")
        for step, (kept, drawn) in enumerate(zip(accepted, self.drafted, strict=True)):
            if kept > drawn:
                raise ValueError(f"step {step} accepts {kept} of {drawn} drafts")

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token was asked for, always."""
        return self.sampling.get("temperature") == 0

    @cached_property
    def places(self) -> Ints | None:
        """(n,) how many drafts of its step stand before each token; None if the steps are not told."""
        if self.accepted is None:
            return None
        whole = [place for kept in self.accepted for place in range(kept + 1)]
        return np.array(whole[: len(self.tokens)], dtype=np.int64)

    @cached_property
    def bonus(self) -> np.ndarray | None:
        """(n,) whether each token stands behind all drafts of its step; None if the numbers of drafts are not told."""
        if self.accepted is None or self.drafted is None or self.places is None:
            return None
        drawn = [count for count, kept in zip(self.drafted, self.accepted, strict=True) for _ in range(kept + 1)]
        return np.asarray(self.places == np.array(drawn[: len(self.tokens)], dtype=np.int64))

    @classmethod
    def of_json(cls, values: Any) -> Transcript:
        """The record of one line's object; ``ValueError`` names the field that is wrong.  Other fields are let pass."""
        if not isinstance(values, Mapping):
            raise ValueError("a request is an object with prompt and tokens")
        for name in ("prompt", "tokens"):
            if name not in values:
                raise ValueError(f"{name} is missing: it holds token ids")
        rows, drafts = values.get("rows"), values.get("draft_rows")
        return cls(
            tuple(_integers("prompt", values["prompt"])),
            tuple(_integers("tokens", values["tokens"])),
            check_sampling(values.get("sampling") or {}),
            values.get("seed"),
            _steps("accepted", values),
            _steps("drafted", values),
            None if rows is None else tuple(_row("rows", place, row) for place, row in enumerate(rows)),
            None if drafts is None else tuple(
                None if row is None else _row("draft_rows", place, row) for place, row in enumerate(drafts)),
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """As :meth:`of_json` reads it."""
        told = {"prompt": list(self.prompt), "tokens": list(self.tokens), "sampling": dict(self.sampling)}
        more = {
            "seed": self.seed,
            "accepted": self.accepted and list(self.accepted),
            "drafted": self.drafted and list(self.drafted),
            "rows": self.rows and [row.to_json() for row in self.rows],
            "draft_rows": self.draft_rows and [row and row.to_json() for row in self.draft_rows],
        }
        return told | {name: value for name, value in more.items() if value is not None}


def check_sampling(settings: Mapping[str, Any]) -> dict[str, float]:
    """The settings as floats; ``ValueError`` for an unknown name or a value out of range."""
    for name, value in settings.items():
        if name not in SAMPLING:
            raise ValueError(f"sampling has the setting {name!r}; known are {', '.join(SAMPLING)}")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
            raise ValueError(f"sampling {name} is {value!r}; it must be a finite number of at least 0")
    return {name: float(value) for name, value in settings.items()}


def same_tokens(ids: Ints, others: Ints) -> bool:
    """Whether these are the same tokens in the same order."""
    return ids is others or (len(ids) == len(others) and bool((ids == others).all()))


def _row(name: str, place: int, values: Any) -> KnownRow:
    try:
        return KnownRow.of_json(values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}, entry {place}: {error}") from None


def _steps(name: str, values: Mapping[str, Any]) -> tuple[int, ...] | None:
    return None if values.get(name) is None else tuple(_integers(name, values[name]))


def _integers(name: str, values: Any) -> list[int]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise ValueError(f"{name} must be a list of integers, but is {values!r}")
    for value in values:
        plain = type(value) is int or (isinstance(value, Integral) and not isinstance(value, bool))
        if not plain or value < 0:
            raise ValueError(f"{name} holds {value!r}; its entries are integers of at least 0")
    return [int(value) for value in values]


def _logarithm(value: Any) -> float:
    if type(value) is float and not math.isnan(value):
        return value
    if value is None or value == "-inf":
        return -math.inf
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise ValueError(f"logp holds {value!r}; its entries are natural logarithms of probabilities")
    return float(value)


def _checked_masses(masses: Floats) -> Floats:
    """The masses, divided by their sum if rounding took it above 1."""
    if not (masses >= 0).all():
        raise ValueError("a row has a negative or undefined probability")
    total = float(masses.sum())
    if total > 1 + SUM_SLACK:
        raise ValueError(f"a row's probabilities sum to {total:.6g}, above 1")
    return masses / total if total > 1 else masses
