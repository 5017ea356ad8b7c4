"""Chains verified token by token with pieces of one's own, and the token at which their exact law departs."""

from __future__ import annotations

import numpy as np
from draws import choice

from veridraft.reports.studies.auditing.first_departure import exact_departure
from veridraft.simulate.forms.drawing import Drawing
from veridraft.simulate.forms.form import Form


def positive(p, q):
    return np.maximum(p - q, 0.0)


def masked(row, token):
    kept = row.copy()
    kept[token] = 0.0
    return kept


def chain(correction=lambda p, q, x, rows: positive(p, q), passes=lambda p, q, x, u: u < p[x] / q[x],
          bonus=lambda target, draft: target[-1]):  # fmt: skip
    """A verifier of one chain, whose correction, test and row behind an accepted draft are as given."""

    def verify(target, draft, tokens, rng):
        out = []
        for place, x in enumerate(tokens):
            p, q = target[place], draft[place]
            if passes(p, q, x, rng.random()):
                out.append(int(x))
                continue
            weights = correction(p, q, x, (target, draft, place))
            weights = weights if weights.sum() > 0 else p
            return [*out, choice(weights / weights.sum(), rng)]
        row = bonus(target, draft)
        return [*out, choice(row / row.sum(), rng)]

    return verify


def first_token_off(verifier, case):
    """The first token, from 1, at which the exact law of a verifier of one chain departs; ``None``: none."""
    return exact_departure(verifier, Drawing(case, Form.CHAIN), batched=False)
