"""Verifiers in a few lines each, over Fractions or floats: right ones, and broken ones."""

from __future__ import annotations

import numpy as np


def residual(target, draft):
    """The positive part of the difference, normalised; the target where there is none."""
    positive = np.maximum(target - draft, 0)
    return positive / positive.sum() if positive.any() else target


def draw(row, rng):
    """By inverse distribution function, one uniform."""
    return int((np.cumsum(row) > rng.random()).argmax())


def speculative(target, draft, tokens, rng, rest=residual, bar=lambda p, q, x: p[x] / q[x]):
    """Speculative sampling on a chain, token by token."""
    for place, token in enumerate(tokens):
        if not rng.random() < bar(target[place], draft[place], token):
            row = rest(target[place], draft[place])
            return [*tokens[:place], rng.choice(len(row), p=row)]
    return [*tokens, rng.choice(len(target[-1]), p=target[-1])]


def block(target, draft, tokens, rng):
    """Block verification on a chain (2403.10444)."""
    weights, one = [target[0, 0] * 0 + 1], target[0, 0] * 0 + 1
    for p, q, token in zip(target, draft, tokens, strict=False):
        weights.append(min(one, weights[-1] * p[token] / q[token]))
    rests = [np.maximum(w * p - q, 0) for w, p, q in zip(weights, target, draft, strict=False)] + [target[-1]]
    length = 0
    for place in range(1, len(weights)):
        mass = rests[place].sum()
        left = 1 - weights[place]
        passes = weights[place] if place == len(tokens) else mass / (mass + left) if mass + left else one
        if 1 - rng.random() > 1 - passes:
            length = place
    row = rests[length] if rests[length].any() else target[length]
    return [*tokens[:length], int(np.searchsorted(np.cumsum(row), rng.random() * row.sum(), side="right"))]


def last_passing(target, draft, tokens, rng):
    """Broken: the ratio tests of speculative sampling, the longest position that passes kept."""
    ratios = np.array([p[x] / q[x] for p, q, x in zip(target, draft, tokens, strict=False)])
    passed = rng.random(len(tokens)) < ratios
    length = int(np.flatnonzero(passed)[-1]) + 1 if passed.any() else 0
    row = target[-1] if length == len(tokens) else residual(target[length], draft[length])
    return [*tokens[:length], draw(row, rng)]


def walk(target, draft, tokens, rng, step, trunk=0):
    """Down from the root by a rule (target row, draft row, tokens drawn) -> token, while the token is drafted."""
    live, emitted = list(range(len(tokens))), []
    for level in range(tokens.shape[1]):
        drawn = [int(tokens[path, level]) for path in (live[:1] if level < trunk else live)]
        token = step(target[live[0], level], draft[live[0], level], drawn, rng)
        emitted.append(token)
        live = [path for path in live if tokens[path, level] == token]
        if not live:
            return emitted
    return [*emitted, draw(target[live[0], -1], rng)]


def nss(target, draft, tokens, rng):
    """Naive speculative sampling on paths."""
    return walk(target, draft, tokens, rng, lambda p, q, drawn, rng: draw(p, rng))


def naive_tree(target, draft, tokens, rng):
    """Speculative sampling on the first draw, its residual followed in the tree."""

    def step(p, q, drawn, rng):
        return drawn[0] if rng.random() < p[drawn[0]] / q[drawn[0]] else draw(residual(p, q), rng)

    return walk(target, draft, tokens, rng, step)


def rrs(target, draft, tokens, rng, updated=residual, trunk=0):
    """Recursive rejection over the draws of each list."""

    def step(p, q, drawn, rng):
        rest = p
        for token in drawn:
            if rng.uniform() <= rest[token] / q[token]:
                return token
            rest = updated(rest, q)
        return draw(rest if updated is residual else residual(p, q), rng)

    return walk(target, draft, tokens, rng, step, trunk)


def tree_without_replacement(target, draft, parents, tokens, rng, renormalised=True):
    """Recursive rejection over siblings drawn without replacement, in the form of a tree."""
    node, emitted = 0, []
    while True:
        rest, q, chosen = target[node], draft[node], None
        for child in np.flatnonzero(parents == node):
            token = tokens[child]
            if rng.random() < rest[token] / q[token]:
                chosen = child
                break
            rest, q = residual(rest, q), np.where(np.arange(len(q)) == token, q * 0, q)
            q = q / q.sum() if renormalised and q.any() else q
        if chosen is None:
            return [*emitted, draw(rest, rng)]
        node = chosen
        emitted.append(int(tokens[node]))
