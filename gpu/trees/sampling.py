"""From logits to rows, and from rows to tokens: one way for target and draft alike."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from ..models import backend
from ..models.backend import torch

SHORT = 1024
"""So many of the largest entries are looked at before a whole row is sorted."""


@dataclass(frozen=True)
class Sampling:
    """Temperature, top-k and top-p, applied in that order, the same to the target and to the draft.

    temperature >= 0, and 0 is greedy (a row is one-hot at its largest logit); top_k >= 1 or ``None``;
    0 < top_p <= 1; draft_temperature >= 0 is for the draft's rows alone, ``None`` for the same.  It shapes what is
    drafted and changes no text's law, as verifiers take the draft's rows for what they are: a tree of the likeliest
    tokens needs more than one-hot rows at temperature 0.  Raises ``ValueError`` outside these ranges.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    draft_temperature: float | None = None

    def __post_init__(self) -> None:
        for name in ("temperature", "draft_temperature"):
            value = getattr(self, name)
            if value is not None and not (value >= 0 and isfinite(value)):
                raise ValueError(f"{name} must be finite and at least 0, but is {value}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, but is {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must lie in (0, 1], but is {self.top_p}")

    def of(self, network: str) -> Sampling:
        """What shapes the rows of the network of that name, ``target`` or ``draft``."""
        if network != "draft" or self.draft_temperature is None:
            return self
        return Sampling(self.draft_temperature, self.top_k, self.top_p)

    def rows(self, logits: torch.Tensor) -> torch.Tensor:
        """Rows (..., V) in float64 of logits (..., V) of any type; each sums to 1 up to rounding."""
        if self.temperature == 0:
            peak = logits.argmax(dim=-1, keepdim=True)
            return torch.zeros_like(logits, dtype=torch.float64).scatter_(-1, peak, 1.0)
        wide = logits if self.temperature == 1 else self._cooled(logits.double())
        rows = torch.softmax(wide, dim=-1, dtype=torch.float64)
        return _cut(rows, self.top_k, self.top_p)

    def _cooled(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits less their maximum, over the temperature: 0 or less, so that a tiny temperature cannot overflow."""
        return (logits - logits.amax(dim=-1, keepdim=True)) / self.temperature


def _cut(rows: torch.Tensor, top_k: int | None, top_p: float) -> torch.Tensor:
    """Rows cut to the k largest entries, then to the fewest whose sum reaches p; lower tokens win ties."""
    if top_k is None and top_p == 1:
        return rows
    if top_k is None and rows.shape[-1] > 4 * SHORT and backend.are_free(rows):
        short = _short_cut(rows, top_p)
        if short is not None:
            return short
    ordered, tokens = torch.sort(rows, dim=-1, descending=True, stable=True)
    if top_k is not None:
        ordered[..., top_k:] = 0
        ordered /= ordered.sum(dim=-1, keepdim=True)
    if top_p < 1:
        before = ordered.cumsum(dim=-1) - ordered
        ordered = torch.where(before < top_p, ordered, 0.0)
    cut = torch.zeros_like(rows).scatter_(-1, tokens, ordered)
    return cut / cut.sum(dim=-1, keepdim=True)


def _short_cut(rows: torch.Tensor, top_p: float) -> torch.Tensor | None:
    """Rows cut to top-p by their largest entries alone; ``None`` if these are too few, or equal where the cut falls."""
    ordered, tokens = torch.topk(rows, SHORT, dim=-1)
    inside = ordered.cumsum(dim=-1) - ordered < top_p
    last = inside.sum(dim=-1, keepdim=True) - 1
    if bool((last + 1 == SHORT).any()):
        return None
    if bool((ordered.gather(-1, last) == ordered.gather(-1, last + 1)).any()):
        return None
    cut = torch.zeros_like(rows).scatter_(-1, tokens, torch.where(inside, ordered, 0.0))
    return cut / cut.sum(dim=-1, keepdim=True)


def draw(row: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Tokens (k,) drawn from one row or mass (V,) by inverse distribution function, one for each uniform.

    Uniforms (k,) lie in [0, 1).  The mass need not sum to 1, only to more than 0; a token of mass 0 is
    never drawn, whatever the rounding of the cumulative sum.
    """
    return draw_each(row[None], uniforms[None])[0]


def draw_each(masses: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Tokens drawn from masses (M, V) as by :func:`draw`: (M, k) for uniforms (M, k), (M,) for uniforms (M,).

    From a row that is not finite comes some token: whoever made the row finds that out.
    """
    wanted = uniforms if uniforms.dim() == 2 else uniforms[:, None]
    cumulative = masses.cumsum(dim=-1)
    total = cumulative[:, -1:].contiguous()
    tokens = torch.searchsorted(cumulative, wanted * total, right=True)
    last = torch.searchsorted(cumulative, total)  # the first token at which the sum is reached
    tokens = torch.minimum(tokens, last).clamp(max=masses.shape[1] - 1)
    return tokens if uniforms.dim() == 2 else tokens[:, 0]
