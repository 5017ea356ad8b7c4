"""What adapters to torch code share: one source of randomness, tensors of rows, and lists of tokens."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

SEED_RANGE = 2**63
"""Seeds lie in [0, 2^63); torch's generator on the CPU reads their low 32 bits."""


def as_numpy_generator(rng: Any) -> np.random.Generator:
    """The generator itself, or for a ``torch.Generator`` a NumPy generator seeded with one draw from it."""
    if isinstance(rng, np.random.Generator):
        return rng
    import torch

    return np.random.default_rng(int(torch.randint(SEED_RANGE - 1, (1,), generator=rng)))


@contextmanager
def seeded(rng: np.random.Generator) -> Iterator[None]:
    """A block whose global generators, torch's on the CPU and Python's, are seeded by one draw from ``rng``.

    Both are put back afterwards.  Code that draws from them is reproducible from ``rng``, and its calls are
    independent as far as seeds drawn at random make them: two calls share one with probability 2^-32.
    """
    import torch

    seed, generator = int(rng.integers(SEED_RANGE)), torch.default_generator
    kept = generator.get_state(), random.getstate()
    generator.manual_seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        generator.set_state(kept[0])
        random.setstate(kept[1])


def tensor(values: Any, dtype: str) -> Any:
    """The values as a contiguous torch tensor on the CPU, a copy; ``dtype`` is a name such as "float32"."""
    import torch

    return torch.tensor(np.asarray(values), dtype=getattr(torch, dtype))


def uniforms(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Uniforms in [0, 1) as a float32 tensor, multiples of 2^-24 as torch's own: rounded down, so that none is 1."""
    return tensor(np.floor(rng.random(shape) * 2**24) / 2**24, "float32")


def logits(rows: Any, dtype: str) -> Any:
    """The logarithms of rows (..., V), minus infinity where an entry is 0, as a tensor.

    The logarithm is taken in float64 and then rounded.
    """
    with np.errstate(divide="ignore"):
        return tensor(np.log(np.asarray(rows, dtype=np.float64)), dtype)


def token_list(tokens: Any) -> list[int]:
    """A flat list of plain integers: a tensor, an array or a sequence, of any shape."""
    return [int(token) for token in np.asarray(tokens).ravel()]


def on_device(function: Callable[..., Any], device: str) -> Callable[..., Any]:
    """The function, called with copies of its tensors on a device and answered with tensors on the CPU.

    Tensors are looked for in lists, tuples, dictionaries and ``SimpleNamespace``.  What it writes into an argument is
    written back; the device's own generator is seeded by a draw from the CPU's before each call, so that code that
    draws from it is reproducible where :func:`seeded` seeds that.
    """

    def run(*arguments: Any, **keywords: Any) -> Any:
        _seed_device(device)
        sent: list[tuple[Any, Any]] = []
        moved = _mapped((arguments, keywords), lambda tensor: _noted(tensor, tensor.to(device, copy=True), sent))
        answer = function(*moved[0], **moved[1])
        for own, copy in sent:
            own.copy_(copy)
        return _mapped(answer, lambda tensor: tensor.cpu())

    return run


def _seed_device(device: str) -> None:
    import torch

    if (kind := torch.device(device).type) != "cpu":
        torch.get_device_module(kind).manual_seed_all(int(torch.randint(SEED_RANGE - 1, (1,))))


def _noted(own: Any, copy: Any, sent: list[tuple[Any, Any]]) -> Any:
    sent.append((own, copy))
    return copy


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """The value with every tensor in it changed."""
    import torch

    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, SimpleNamespace):
        return SimpleNamespace(**_mapped(vars(value), change))
    if isinstance(value, dict):
        return {name: _mapped(part, change) for name, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_mapped(part, change) for part in value)
    return value
