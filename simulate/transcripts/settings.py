"""Rows behind sampling settings: the law that a token must have, from the row of the model itself."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

import numpy as np

from veridraft.theory.rows.distributions import apply_temperature, keep_top_k, keep_top_p, normalised

from ..batches.rows import Floats
from .transcript import KnownRow

WHOLE, NOTHING = 1e-6, 1e-12
"""A row whose other tokens have less than the first together is taken to be known whole; below the second it is."""


def sampled_rows(rows: Floats, settings: Mapping[str, float]) -> Floats:
    """Rows (n, V) with temperature, then top-k, top-p, min-p applied; top-k of 0 keeps all, as engines have it."""
    warm = apply_temperature(rows, settings.get("temperature", 1.0))
    cut = keep_top_p(keep_top_k(warm, int(settings.get("top_k", 0)) or None), settings.get("top_p", 1.0))
    return keep_min_p(cut, settings.get("min_p", 0.0))


def keep_min_p(rows: Floats, least: float) -> Floats:
    """Rows (..., V) without the tokens of less than ``least`` times the largest entry, renormalised."""
    if not 0 <= least <= 1:
        raise ValueError(f"min_p must lie in [0, 1], but is {least}")
    if least == 0:
        return rows
    return np.asarray(normalised(np.where(rows >= least * rows.max(axis=-1, keepdims=True), rows, 0.0)))


def behind_settings(row: KnownRow, settings: Mapping[str, float]) -> KnownRow:
    """The row behind sampling settings; ``ValueError`` where the known tokens do not settle it."""
    if not is_settled(row, settings):
        raise ValueError(
            f"a row tells {len(row.ids)} tokens of mass {1 - row.rest:.3g}, which do not settle it behind "
            f"{', '.join(f'{name} {value:g}' for name, value in settings.items())}: ask for more tokens in a row"
        )
    temperature, kept, share, least = _of(settings)
    if (temperature, kept, share, least) == (1.0, 0, 1.0, 0.0):
        return row
    if temperature == 1.0 and not kept and share < 1.0 and row.rest >= WHOLE:
        cut = _reaching(row.masses, share)
        return KnownRow(row.ids, keep_min_p(cut[None], least)[0])
    return KnownRow(row.ids, sampled_rows(np.asarray(normalised(row.masses))[None], settings)[0])


def is_settled(row: KnownRow, settings: Mapping[str, float]) -> bool:
    """Whether the known tokens, the row's likeliest, say what it is behind the settings.

    They do if nothing is asked for, if top-k keeps none of the others; if these have less than :data:`WHOLE` together
    at the temperature; if min-p alone cuts all of them; if top-p is reached without them, by the same tokens whatever
    they may have.
    """
    temperature, kept, share, least = _of(settings)
    if (temperature, kept, share, least) == (1.0, 0, 1.0, 0.0) or 0 < kept <= len(row.ids):
        return True
    if not len(row.ids):
        return False
    if _rest_at(row, temperature) < WHOLE:
        return True
    if share == 1.0:
        return float(row.masses.min()) < float(row.masses.max()) * least**temperature
    return not kept and _reaches(row, temperature, share)


def _reaches(row: KnownRow, temperature: float, share: float) -> bool:
    """Whether the fewest known tokens that reach a share at the temperature are the same whatever the others have."""
    others = _rest_at(row, temperature)
    ordered = np.cumsum(np.sort(row.masses ** (1.0 / temperature))[::-1])
    least, most = ordered[-1] * (1.0 + (others if temperature == 1.0 else 0.0)), ordered[-1] * (1.0 + others)
    fewest, further = np.searchsorted(ordered, [share * least, share * most])
    return bool(fewest == further < len(ordered))


def _rest_at(row: KnownRow, temperature: float) -> float:
    """At most this share of a row at a temperature lies outside its known tokens, none of the others being likelier.

    Above temperature 1 many others of next to nothing may have much; there it is 0 or infinite.
    """
    if temperature > 1.0:
        return 0.0 if row.rest < NOTHING else inf
    power = 1.0 / temperature
    warm = float((row.masses**power).sum())
    others = row.rest * float(row.masses.min()) ** (power - 1.0)
    return others / warm if warm > 0.0 else inf


def _of(settings: Mapping[str, float]) -> tuple[float, int, float, float]:
    """Temperature, top-k, top-p, min-p."""
    return (
        settings.get("temperature", 1.0), int(settings.get("top_k", 0)), settings.get("top_p", 1.0),
        settings.get("min_p", 0.0),
    )  # fmt: skip


def _reaching(masses: Floats, share: float) -> Floats:
    """The fewest largest masses whose sum reaches the share, renormalised; they are less than all."""
    ordered = np.sort(masses)[::-1]
    count = int(np.searchsorted(np.cumsum(ordered), share)) + 1
    kept = np.zeros_like(masses)
    likeliest = np.argsort(-masses, kind="stable")[:count]
    kept[likeliest] = masses[likeliest]
    return np.asarray(normalised(kept))
