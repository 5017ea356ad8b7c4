"""Shapes of common networks, dense and mixtures of experts, counted in weights, cache entries and FLOPs.

Those that are named have the published configurations: SmolLM2 135M; Qwen2.5 0.5B, 1.5B, 7B, 14B, 32B, 72B; Llama 3.2
1B and 3B, Llama 3.1 8B, 70B and 405B; Llama 2 13B; Mixtral 8x7B and 8x22B; Qwen3 30B-A3B and 235B-A22B.  The tests hold
their number of parameters against the published one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..rows.distributions import check_count
from .hardware import by_name, look_up


@dataclass(frozen=True)
class Network:
    """The shape of a decoder of the Llama family.

    width : of the residual stream; heads, cache_heads : of queries, and of keys and values; inner : of the
    feed-forward part (three matrices), of one expert where there are several; tied : True if input and output share
    the embedding table; experts, active : how many a layer has, and to how many a token is sent; extras : weights of
    a layer that are in no product, such as biases
    """

    name: str
    layers: int
    width: int
    heads: int
    cache_heads: int
    head_width: int
    inner: int
    vocabulary_size: int
    tied: bool = False
    experts: int = 1
    active: int = 1
    extras: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name not in ("name", "tied"):
                check_count(f"{field.name} of {self.name}", getattr(self, field.name), int(field.name != "extras"))
        if self.active > self.experts:
            raise ValueError(f"active of {self.name} is {self.active}, but it has {self.experts} experts")

    @property
    def _expert(self) -> int:
        """Weights of one expert's, or the only, feed-forward part."""
        return 3 * self.width * self.inner

    @property
    def _layer_products(self) -> int:
        """Weights of one layer's matrix products that every token meets: attention, and the router of experts."""
        attention = 2 * self.heads * self.head_width + 2 * self.cache_heads * self.head_width
        return self.width * (attention + (self.experts if self.experts > 1 else 0))

    @property
    def product_weights(self) -> int:
        """Weights that a new token is multiplied with, the output matrix among them."""
        return self.layers * (self._layer_products + self.active * self._expert) + self.vocabulary_size * self.width

    @property
    def norm_weights(self) -> int:
        """Weights of the normalisations."""
        return (2 * self.layers + 1) * self.width

    @property
    def read_weights(self) -> int:
        """Weights that a pass of many tokens reads: all but the rows of an untied input table, of which a few."""
        return self.parameters - (0 if self.tied else self.vocabulary_size * self.width)

    def experts_touched(self, tokens: int) -> Any:
        """The mean number of a layer's experts that a pass of so many tokens reads.

        E (1 - (1 - k / E)^n): each token is sent to k of E, all alike and independently.  Routers of real networks
        prefer some experts and tokens of one text agree, so that fewer are touched.
        """
        if self.experts == 1:
            return 1
        return self.experts * (1 - (1 - self.active / self.experts) ** tokens)

    def weights_of_pass(self, tokens: int) -> Any:
        """Weights that a pass of so many tokens reads."""
        return self.read_weights - self.layers * (self.experts - self.experts_touched(tokens)) * self._expert

    @property
    def parameters(self) -> int:
        """All weights."""
        layer = self._layer_products + self.experts * self._expert + self.extras
        tables = (1 if self.tied else 2) * self.vocabulary_size * self.width
        return self.layers * layer + tables + self.norm_weights

    @property
    def cache_entries(self) -> int:
        """Entries of the KV cache for one token."""
        return 2 * self.layers * self.cache_heads * self.head_width

    @property
    def attention_flops(self) -> int:
        """FLOPs of one new token's attention to one token: a product with its key and one with its value."""
        return 4 * self.layers * self.heads * self.head_width

    def head(self) -> Network:
        """A draft head on this network, as EAGLE's and as of multi-token prediction (MTP): one layer of its width.

        It reads the target's last state and the token's embedding, joined by a matrix of 2 width x width (counted with
        the extras), and the target's output matrix; its feed-forward part is as wide as what a token meets in the
        target.  The shared table counts as its own memory once.
        """
        return Network(
            f"a head of {self.name}", 1, self.width, self.heads, self.cache_heads, self.head_width,
            self.inner * self.active, self.vocabulary_size, tied=True, extras=2 * self.width**2,
        )  # fmt: skip


def _qwen2(name: str, layers: int, width: int, heads: int, cache_heads: int, inner: int, tied: bool) -> Network:
    """A Qwen2.5: queries, keys and values have biases; the small ones have a table of another padding."""
    head_width, size = width // heads, 151936 if tied else 152064
    extras = (heads + 2 * cache_heads) * head_width
    return Network(name, layers, width, heads, cache_heads, head_width, inner, size, tied, extras=extras)


NETWORKS: Mapping[str, Network] = by_name(
    Network("135M", 30, 576, 9, 3, 64, 1536, 49152, tied=True),
    _qwen2("0.5B", 24, 896, 14, 2, 4864, tied=True),
    Network("1B", 16, 2048, 32, 8, 64, 8192, 128256, tied=True),
    _qwen2("1.5B", 28, 1536, 12, 2, 8960, tied=True),
    Network("3B", 28, 3072, 24, 8, 128, 8192, 128256, tied=True),
    _qwen2("7B", 28, 3584, 28, 4, 18944, tied=False),
    Network("8B", 32, 4096, 32, 8, 128, 14336, 128256),
    Network("13B", 40, 5120, 40, 40, 128, 13824, 32000),
    _qwen2("14B", 48, 5120, 40, 8, 13824, tied=False),
    _qwen2("32B", 64, 5120, 40, 8, 27648, tied=False),
    Network("70B", 80, 8192, 64, 8, 128, 28672, 128256),
    _qwen2("72B", 80, 8192, 64, 8, 29568, tied=False),
    Network("405B", 126, 16384, 128, 8, 128, 53248, 128256),
    Network("8x7B", 32, 4096, 32, 8, 128, 14336, 32000, experts=8, active=2),
    Network("8x22B", 56, 6144, 48, 8, 128, 16384, 32000, experts=8, active=2),
    Network("30B-A3B", 48, 2048, 32, 4, 128, 768, 151936, experts=128, active=8, extras=256),
    Network("235B-A22B", 94, 4096, 64, 4, 128, 1536, 151936, experts=128, active=8, extras=256),
)
"""Name to shape, read-only."""


def get_network(name: str) -> Network:
    """The shape of that name, case aside; ``ValueError`` that lists the names, ``TypeError`` for no text."""
    return look_up("shape", name, NETWORKS)
