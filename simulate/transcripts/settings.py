"""Rows behind sampling settings: the law that a token must have, from the row of the model itself."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from veridraft.theory.rows.distributions import apply_temperature, keep_top_k, keep_top_p, normalised

from ..batches.rows import Floats
from .transcript import KnownRow

WHOLE = 1e-6
"""A row whose other tokens have less than this together is taken to be known whole."""


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
    """The row behind sampling settings, where the tokens that are known settle it.

    Raises ``ValueError`` if it takes tokens that are not known: at a temperature other than 1 all of them, or the
    top-k; with top-p those up to its share.
    """
    kept, share = int(settings.get("top_k", 0)), settings.get("top_p", 1.0)
    changed = settings.get("temperature", 1.0) != 1 or settings.get("min_p", 0.0) > 0
    plain = not changed and share == 1 and not kept
    if plain:
        return row
    settled = row.rest < WHOLE or 0 < kept <= len(row.ids) or (not changed and not kept and 1 - row.rest >= share)
    if not settled:
        raise ValueError(
            f"a row tells {len(row.ids)} tokens of mass {1 - row.rest:.3g}, which do not settle it behind "
            f"{', '.join(f'{name} {value:g}' for name, value in settings.items())}: ask for more tokens in a row"
        )
    if row.rest >= WHOLE and not kept and not changed:
        return KnownRow(row.ids, _reaching(row.masses, share))
    cut = sampled_rows(np.asarray(normalised(row.masses))[None], settings)[0]
    return KnownRow(row.ids, cut)


def _reaching(masses: Floats, share: float) -> Floats:
    """The fewest largest masses whose sum reaches the share, renormalised; they are less than all."""
    ordered = np.sort(masses)[::-1]
    count = int(np.searchsorted(np.cumsum(ordered), share)) + 1
    kept = np.zeros_like(masses)
    likeliest = np.argsort(-masses, kind="stable")[:count]
    kept[likeliest] = masses[likeliest]
    return np.asarray(normalised(kept))
