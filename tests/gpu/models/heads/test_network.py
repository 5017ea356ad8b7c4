"""A head is what it says: sums at first, the target's own parts unchanged, and files that hold all that is learnt."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the tests of veridraft.gpu need torch")

from gpu_tiny import tiny_head, tiny_model

from veridraft.gpu.models.heads.card import CARD, SHIPPED, WEIGHTS, head_place, read_card
from veridraft.gpu.models.heads.file import load_head, save_head
from veridraft.gpu.models.heads.network import Head, is_head
from veridraft.gpu.models.names import check_names

TOKENS = torch.tensor([[3, 1, 4, 1, 5, 9]])


def test_a_new_head_is_the_targets_last_layer_on_the_sum_of_state_and_embedding():
    target = tiny_model()
    head = Head(target, 1, range(64))
    states = torch.randn(1, 6, 32)
    inside = target.model.embed_tokens(TOKENS) + states
    places = torch.arange(6)[None]
    turned = target.model.rotary_emb(inside, places)
    mask = torch.ones(1, 1, 6, 6, dtype=torch.bool).tril()
    below = target.model.layers[-1](inside, attention_mask=mask, position_ids=places, position_embeddings=turned)
    expected = target.model.norm(below[0] if isinstance(below, tuple) else below)
    output = head(TOKENS, states)
    torch.testing.assert_close(output.states, expected)
    torch.testing.assert_close(output.logits, target.lm_head(expected))


def test_its_logits_are_those_of_its_tokens_in_their_order():
    target = tiny_model()
    whole, some = Head(target, 2, range(64)), Head(target, 2, [3, 7, 60])
    states = torch.randn(1, 6, 32)
    torch.testing.assert_close(some(TOKENS, states).logits, whole(TOKENS, states).logits[..., [3, 7, 60]])
    assert some(TOKENS, states, logits_to_keep=2).logits.shape == (1, 2, 3)
    torch.testing.assert_close(some(TOKENS).states, some(TOKENS, torch.zeros(1, 6, 32)).states)


def test_balance_brings_embeddings_to_the_scale_of_states():
    head = Head(tiny_model(), 1, range(64))
    head.balance(5.0)
    embeddings = head.decoder.get_input_embeddings().weight
    moved = embeddings @ head.projection.weight[:, 32:].T
    assert moved.square().mean().sqrt().item() == pytest.approx(5, rel=1e-5)
    torch.testing.assert_close(head.projection.weight[:, :32], torch.eye(32))


def test_a_head_learns_its_own_parts_and_leaves_the_target_as_it_was():
    target = tiny_model()
    before = {name: one.clone() for name, one in target.state_dict().items()}
    head = Head(target, 2, range(64))
    assert {name.split(".")[0] for name, _ in head.own.named_parameters()} == {"projection", "layers"}
    with torch.no_grad():
        for one in head.own.parameters():
            one += 1
    after = target.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert is_head(head) and not is_head(target)
    assert head.config.num_hidden_layers == 2 and target.config.num_hidden_layers == 3


@pytest.mark.parametrize("layers", [1, 3])
def test_a_file_holds_a_head_to_one_part_in_254_of_each_rows_largest_weight(tmp_path, layers):
    target = tiny_model()
    head = tiny_head(target, layers)
    save_head(head, tmp_path / "head", {"words": "about it"})
    found = load_head(target, tmp_path / "head")
    assert found.tokens.tolist() == head.tokens.tolist() and json.loads((tmp_path / "head" / CARD).read_text())["words"]
    for name, weight in head.own.state_dict().items():
        error = (found.own.state_dict()[name] - weight).abs()
        if weight.ndim == 1:
            assert not error.any()
        else:
            assert (error <= weight.abs().amax(dim=1, keepdim=True) / 253).all(), name


def test_a_file_that_was_changed_or_is_for_another_target_is_refused(tmp_path):
    target = tiny_model()
    save_head(tiny_head(target), tmp_path, {})
    with pytest.raises(ValueError, match="is not for this target"):
        load_head(tiny_model(vocabulary_size=64, hidden=16), tmp_path)
    content = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match="does not have the SHA-256"):
        load_head(target, tmp_path)
    (tmp_path / CARD).write_text("[]")
    with pytest.raises(ValueError, match="does not say layers"):
        load_head(target, tmp_path)
    with pytest.raises(ValueError, match="holds no head"):
        load_head(target, tmp_path / "nowhere")


def test_the_shipped_head_is_whole_small_and_of_the_embedded_targets_shape():
    card, place = read_card(head_place(SHIPPED)), head_place(SHIPPED) / WEIGHTS
    assert hashlib.sha256(place.read_bytes()).hexdigest() == card["sha256"]
    assert place.stat().st_size < 8e6 and card["places_learnt"] > 0
    with np.load(place) as held:
        assert held["tokens"].shape == (card["tokens"],) and held["projection.weight"].shape == (576, 1152)
    check_names(None, SHIPPED)
    rates = card["held_out"]["temperature 1"]["acceptance"]
    assert len(rates) == 6 and 0 < rates[-1] <= rates[0] < card["held_out"]["temperature 1"]["coverage"]


@pytest.mark.parametrize(
    ("layers", "tokens", "message"),
    [
        (0, [1], "1 to 3 layers on this target, not 0"),
        (4, [1], "1 to 3 layers on this target, not 4"),
        (1, [], "distinct, ascending"),
        (1, [2, 1], "distinct, ascending"),
        (1, [64], r"lie in \[0, 64\)"),
    ],
)
def test_a_head_that_cannot_be_is_refused(layers, tokens, message):
    with pytest.raises(ValueError, match=message):
        Head(tiny_model(), layers, tokens)
