"""The models of the study as GGUF files: the embedded one, a draft made of it, and random networks of known shape.

Random networks answer in milliseconds, and what they write means nothing; their rows are laws like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from veridraft.gpu.models import embedded
from veridraft.gpu.models.names import parse_skip
from veridraft.simulate.batches.rows import Floats

WORDS, WIDTH, LAYERS, CONTEXT = 460, 64, 2, 4096
"""Of the random networks: tokens, width, layers, the longest text."""

INNER, HEADS = 128, 4
"""Of the random transformer: the width between, and attention heads."""

STATE, CONVOLUTION, STEP_RANK = 8, 4, 4
"""Of the random Mamba: state of a channel, length of the convolution, rank of the step sizes."""

APART = 0.25
"""By how much the draft's output layer differs from the target's, as a share of its entries."""

SHARPNESS = 0.34
"""The deviation of an output layer's entries: rows have an entropy of some 3 nats then."""

SEED = 20

Tensors = dict[str, Floats]


@dataclass(frozen=True)
class Files:
    """A target and its draft."""

    target: Path
    draft: Path


def files_of(pair: str, folder: Path) -> Files:
    """The two files of a pair in a folder, written if they are not there yet."""
    return PAIRS[pair](folder)


def _embedded(folder: Path) -> Files:
    """The embedded model, and it without the layers that the embedded draft leaves out."""
    whole = embedded.gguf_file()
    layers = parse_skip(embedded.DRAFT)
    name = f"{whole.stem}.without-{'-'.join(map(str, layers))}.gguf"
    return Files(whole, _made(folder / name, lambda path: write_without_layers(whole, path, layers)))


def _random(kind: str, folder: Path) -> Files:
    """A random network, and the same with another output layer."""
    metadata, body = KINDS[kind]
    rng = np.random.default_rng(SEED)
    shared = {"token_embd.weight": rng.normal(size=(WORDS, WIDTH)), "output_norm.weight": np.ones(WIDTH)} | body(rng)
    output, other = (SHARPNESS * rng.normal(size=(WORDS, WIDTH)) for _ in range(2))
    near = (output + APART * other) / (1 + APART**2) ** 0.5
    made = [
        _made(folder / f"{kind}-{SEED}{end}.gguf", partial(
            write_network, kind=kind, metadata=metadata, tensors=shared | {"output.weight": own}))
        for end, own in (("", output), ("-draft", near))
    ]  # fmt: skip
    return Files(*made)


PAIRS: Mapping[str, Callable[[Path], Files]] = MappingProxyType(
    {
        "SmolLM2": _embedded,
        "transformer": lambda folder: _random("llama", folder),
        "Mamba": lambda folder: _random("mamba", folder),
    }
)


def _made(path: Path, write: Callable[[Path], None]) -> Path:
    """The file, written beside its place and renamed, so that a killed run leaves nothing half done."""
    if not path.exists():
        with embedded.scratch_beside(path) as scratch:
            write(scratch / path.name)
            (scratch / path.name).replace(path)
    return path


def _transformer(rng: np.random.Generator) -> Tensors:
    """Layers of attention and of a gated network."""
    tensors: Tensors = {}
    for layer in range(LAYERS):
        shapes = {f"attn_{name}": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
        shapes |= {"ffn_gate": (INNER, WIDTH), "ffn_up": (INNER, WIDTH), "ffn_down": (WIDTH, INNER)}
        tensors |= {f"blk.{layer}.{name}.weight": _weights(shape, rng) for name, shape in shapes.items()}
        tensors |= {f"blk.{layer}.{name}_norm.weight": np.ones(WIDTH) for name in ("attn", "ffn")}
    return tensors


def _mamba(rng: np.random.Generator) -> Tensors:
    """Layers with a recurrent state."""
    tensors: Tensors = {}
    for layer in range(LAYERS):
        own = {
            "attn_norm.weight": np.ones(WIDTH),
            "ssm_in.weight": _weights((2 * INNER, WIDTH), rng),
            "ssm_conv1d.weight": _weights((INNER, CONVOLUTION), rng),
            "ssm_conv1d.bias": 0.1 * rng.normal(size=INNER),
            "ssm_x.weight": _weights((STEP_RANK + 2 * STATE, INNER), rng),
            "ssm_dt.weight": _weights((INNER, STEP_RANK), rng),
            "ssm_dt.bias": rng.normal(size=INNER) / 2 - 1,
            "ssm_a": -np.exp(rng.normal(size=(INNER, STATE)) / 2),
            "ssm_d": np.ones(INNER),
            "ssm_out.weight": _weights((WIDTH, INNER), rng),
        }
        tensors |= {f"blk.{layer}.{name}": values for name, values in own.items()}
    return tensors


def _weights(shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """A linear layer that keeps the size of what it is given, up to a half where it narrows by much."""
    return rng.normal(size=shape) / shape[1] ** 0.5


KINDS: Mapping[str, tuple[Mapping[str, float], Callable[[np.random.Generator], Tensors]]] = MappingProxyType(
    {
        "llama": (
            {"feed_forward_length": INNER, "attention.head_count": HEADS, "attention.head_count_kv": HEADS,
             "rope.dimension_count": WIDTH // HEADS, "rope.freq_base": 10000.0},
            _transformer,
        ),
        "mamba": (
            {"feed_forward_length": 0, "attention.head_count": 0, "ssm.conv_kernel": CONVOLUTION,
             "ssm.inner_size": INNER, "ssm.state_size": STATE, "ssm.time_step_rank": STEP_RANK},
            _mamba,
        ),
    }
)  # fmt: skip
"""For each architecture, by llama.cpp's name, its own metadata and its layers."""


def write_network(path: Path, kind: str, metadata: Mapping[str, float], tensors: Tensors) -> None:
    """A network of an architecture with a vocabulary of made-up words, in float32."""
    from gguf import GGUFWriter, TokenType

    writer = GGUFWriter(str(path), kind)
    writer.add_name(f"random {kind}")
    common = {"context_length": CONTEXT, "embedding_length": WIDTH, "block_count": LAYERS,
              "attention.layer_norm_rms_epsilon": 1e-5}  # fmt: skip
    for name, value in {**common, **metadata}.items():
        (writer.add_float32 if isinstance(value, float) else writer.add_uint32)(f"{kind}.{name}", value)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(["<unk>", "<s>", "</s>", *(f"w{word}" for word in range(WORDS - 3))])
    writer.add_token_scores([0.0] * WORDS)
    kinds = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL, *[TokenType.NORMAL] * (WORDS - 3)]
    writer.add_token_types([int(one) for one in kinds])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, values in tensors.items():
        writer.add_tensor(name, values.astype(np.float32))
    _written(writer)


def write_without_layers(source: Path, path: Path, layers: tuple[int, ...]) -> None:
    """A copy of a model without some of its layers, its tensors as they are, those of later layers renumbered."""
    from gguf import GGUFReader, GGUFWriter

    reader = GGUFReader(str(source))
    kind = reader.fields["general.architecture"].contents()
    writer = GGUFWriter(str(path), kind)
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            value = field.contents() - len(layers) if name == f"{kind}.block_count" else field.contents()
            inner = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(name, value, field.types[0], sub_type=inner)
    kept = list(_renumbered(reader.tensors, layers))
    for name, tensor in kept:
        writer.add_tensor(name, tensor.data, raw_dtype=tensor.tensor_type)
    _written(writer)


def _renumbered(tensors: Any, layers: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """The tensors that stay, with their new names."""
    for tensor in tensors:
        parts = tensor.name.split(".")
        if parts[0] == "blk":
            layer = int(parts[1])
            if layer in layers:
                continue
            parts[1] = str(layer - sum(left_out < layer for left_out in layers))
        yield ".".join(parts), tensor


def _written(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
