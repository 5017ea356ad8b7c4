"""A target and a draft network that share a vocabulary, loaded from wherever they lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import embedded
from .backend import torch, transformers
from .heads.card import head_place, is_head_name
from .heads.file import load_head
from .layer_skip import without_layers
from .names import SKIP, check_dtype, check_names, check_place, check_sizes, parse_skip

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json")


@dataclass(frozen=True, eq=False)
class ModelPair:
    """Two causal networks over one vocabulary, in evaluation mode, on one device.

    ``target`` and ``draft`` are transformers models; ``tokenizer`` is ``None`` where the target's folder
    holds none (prompts are then token ids).
    """

    target: Any
    draft: Any
    tokenizer: Any
    target_name: str
    draft_name: str

    @property
    def vocabulary_size(self) -> int:
        """V, the number of columns of a row."""
        return int(self.target.config.vocab_size)

    @property
    def device(self) -> torch.device:
        """Where the target's weights lie."""
        return next(self.target.parameters()).device

    @property
    def dtype(self) -> str:
        """The type of the target's weights, such as ``float32``."""
        return str(next(self.target.parameters()).dtype).removeprefix("torch.")

    @property
    def traits(self) -> dict[str, Any]:
        """What a file of a run says of its pair."""
        return {
            "target": self.target_name,
            "draft": self.draft_name,
            "vocabulary_size": self.vocabulary_size,
            "device": self.device.type,
            "dtype": self.dtype,
        }

    @property
    def end_tokens(self) -> frozenset[int]:
        """The tokens that end a text; empty if the model names none."""
        ends = self.target.generation_config.eos_token_id
        if ends is None:
            return frozenset()
        return frozenset([ends] if isinstance(ends, int) else ends)

    def encode(self, prompt: str | Sequence[int]) -> tuple[int, ...]:
        """The prompt as token ids; text goes through the chat template where the tokenizer has one.

        Raises ``ValueError`` for an empty prompt, a token outside the vocabulary, or text without a tokenizer.
        """
        tokens = self._encode_text(prompt) if isinstance(prompt, str) else tuple(int(token) for token in prompt)
        if not tokens:
            raise ValueError("prompt is empty: it must have at least one token")
        for place, token in enumerate(tokens):
            if not 0 <= token < self.vocabulary_size:
                raise ValueError(f"prompt token {place} is {token}; it must lie in [0, {self.vocabulary_size})")
        return tokens

    def _encode_text(self, prompt: str) -> tuple[int, ...]:
        if self.tokenizer is None:
            raise ValueError(f"prompt is text, but {self.target_name} has no tokenizer: give token ids")
        if not getattr(self.tokenizer, "chat_template", None):
            return tuple(self.tokenizer(prompt)["input_ids"])
        messages = [{"role": "user", "content": prompt}]
        return tuple(self.tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"])


def load_pair(
    target: str | None = None, draft: str | None = None, device: str = "cpu", dtype: str = "float32"
) -> ModelPair:
    """A target and a draft, in evaluation mode on ``device``, weights in ``dtype``.

    target : a folder, a GGUF file, or a name that transformers knows; ``None`` is the embedded
        SmolLM2-135M-Instruct (135 million weights, V = 49,152), fetched once into the cache folder
    draft : the same, or ``skip:17,18`` for the target without those layers (no copy of its weights), or the folder of
        a head on the target; ``head``, the one that is shipped for the embedded target, is also what ``None`` is there
    dtype : ``float32``, ``bfloat16`` or ``float16``; the rows at the verifier are float64 whatever it is

    Raises ``ValueError`` for a device that is not there, a folder without a model, files that cannot be loaded, a
    network with a sliding window, or vocabularies that differ; ``ConnectionError`` if the embedded model must be
    fetched and cannot be; ``ImportError`` without the extra ``gpu``.
    """
    check_device(device)
    check_names(target, draft, dtype)
    kind, draft = dtype_of(dtype), draft or embedded.DRAFT
    own = None if is_made_of_target(draft) else load_network("draft", draft, kind, device)
    model, tokenizer = load_network("target", target, kind, device)
    small, words = own or (made_of_target(model, draft), tokenizer)
    check_vocabularies(model, small, tokenizer, words)
    return ModelPair(model, small, tokenizer, target or embedded.NAME, draft)


def is_made_of_target(draft: str) -> bool:
    """True for a draft that has weights of the target: ``skip:`` some layers, or a head."""
    return draft.startswith(SKIP) or is_head_name(draft)


def made_of_target(model: Any, draft: str) -> Any:
    """The draft of that name on a target; raises ``ValueError`` where it does not fit."""
    return load_head(model, head_place(draft)) if is_head_name(draft) else without_layers(model, parse_skip(draft))


def load_alone(target: str | None = None, device: str = "cpu", dtype: str = "float32") -> ModelPair:
    """A target without a draft, as a pair with itself; arguments and errors are those of :func:`load_pair`."""
    check_place("target", target)
    model, tokenizer = load_network("target", target, dtype_of(dtype), device)
    name = target or embedded.NAME
    return ModelPair(model, model, tokenizer, name, name)


def dtype_of(name: str) -> torch.dtype:
    """The torch type of a name; raises ``ValueError`` for others than the three."""
    check_dtype(name)
    kind: torch.dtype = getattr(torch, name)
    return kind


def load_network(
    role: str, name: str | None, dtype: torch.dtype, device: str | None, **placement: Any
) -> tuple[Any, Any]:
    """The network, in evaluation mode, and its tokenizer (or ``None``) that a name, folder or file holds.

    ``role`` is for the messages; with ``device`` ``None`` transformers places the weights, as ``placement`` says.
    Raises ``ValueError`` as :func:`load_pair` does.
    """
    if device is not None:
        check_device(device)
    source, options = locate(role, name)
    with quiet():
        with _read(f"{role} {name!r}", f": give a folder with --{role}"):
            model = transformers.AutoModelForCausalLM.from_pretrained(
                source, dtype=dtype, attn_implementation="sdpa", **options, **placement
            )
        with _read(f"the tokenizer of {role} {name!r}"):
            tokenizer = _tokenizer(source, options)
    kinds = set(getattr(model.config, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"}:
        raise ValueError(f"{role} {name!r} has layers of kind {sorted(kinds)}; only full_attention keeps a tree")
    return (model if device is None else model.to(device)).eval(), tokenizer


def check_device(name: str) -> None:
    """Raise ``ValueError`` unless torch can compute on the device of that name."""
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError, ImportError) as error:
        raise ValueError(f"device {name!r} cannot be used ({_first_line(error)})") from error


@contextmanager
def _read(what: str, advice: str = "") -> Iterator[None]:
    """Turn whatever a file that is missing or broken raises, which its format decides, into a ``ValueError``."""
    try:
        yield
    except ImportError:
        raise
    except Exception as error:
        raise ValueError(f"{what} cannot be loaded ({_first_line(error)}){advice}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def locate(role: str, name: str | None) -> tuple[str, dict[str, Any]]:
    """What to hand to transformers, and with which options; checks what lies on this machine."""
    if name is None:
        return str(embedded.converted_folder(convert_gguf)), {}
    check_place(role, name)
    path = Path(name)
    return (str(path.parent), {"gguf_file": path.name}) if path.is_file() else (name, {})


def _tokenizer(source: str, options: dict[str, Any]) -> Any:
    """The tokenizer beside the network, or ``None`` if a folder holds none."""
    folder = Path(source)
    if not options and folder.is_dir() and not any((folder / name).exists() for name in TOKENIZER_FILES):
        return None
    return transformers.AutoTokenizer.from_pretrained(source, **options)


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write the network in a GGUF file, in float32, and its tokenizer as an ordinary model folder."""
    options = {"gguf_file": gguf.name}
    with quiet():
        load = transformers.AutoModelForCausalLM.from_pretrained
        model = load(str(gguf.parent), dtype=torch.float32, **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(gguf.parent), **options)
        for name in ("hf_quantizer", "is_quantized", "quantization_method"):  # the weights are plain by now
            model.__dict__.pop(name, None)
        model.config.__dict__.pop("quantization_config", None)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def check_vocabularies(target: Any, draft: Any, target_words: Any, draft_words: Any) -> None:
    """Raise unless both networks speak of the same tokens."""
    check_sizes(target.config.vocab_size, draft.config.vocab_size)
    if target_words is None or draft_words is None or target_words is draft_words:
        return
    first, second = target_words.get_vocab(), draft_words.get_vocab()
    if first != second:
        odd = min(word for word in first.keys() | second.keys() if first.get(word) != second.get(word))
        raise ValueError(
            f"target and draft must share a vocabulary, but token {odd!r} has id {first.get(odd)} in the target "
            f"and {second.get(odd)} in the draft"
        )


@contextmanager
def quiet() -> Any:
    """No progress bars while a model is loaded or written."""
    bars = transformers.utils.logging
    was_on = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if was_on:
            bars.enable_progress_bar()
