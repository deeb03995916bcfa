"""Pretrained backbones of several families: read whole or with some layers, trained in full, by adapters or not at all."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, BertConfig, GPT2Config, LlamaConfig, PretrainedConfig, Qwen2Config

from jobs.held_out_figures import read_catalogue, read_histories
from karma.artefact import load_encoder
from karma.config import BackboneConfig, EncoderConfig, PretrainedModelError, TrainingConfig
from karma.model.adapters import merged_weights, tune
from karma.model.backbone import Backbone
from karma.serving import ServingEncoder
from karma.tokenizer import bag_of, train_tokenizer
from karma.training import train
from karma.training.data import read_training_data
from karma.training.pretrained import load_pretrained, trim_head
from karma.training.run import Run
from karma.training.study import AskedTargets, run_arm
from karma.training.texts import Texts
from tests.karma.conftest import Planted
from tests.karma.planted import tiny_config

VOCABULARY, LAYERS, LONGEST = 300, 3, 32


def family(name: str, **changes: object) -> PretrainedConfig:
    sizes = {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": LAYERS, "num_attention_heads": 2, **changes}
    if name == "gpt2":
        return GPT2Config(**sizes, n_positions=64, bos_token_id=1, eos_token_id=2)
    kinds = {"llama": LlamaConfig, "qwen2": Qwen2Config}
    return kinds[name](**sizes, intermediate_size=24, num_key_value_heads=1, bos_token_id=1, eos_token_id=2)


def pretrained(folder: Path, config: PretrainedConfig) -> Path:
    """A model with random weights larger than a fresh one's, so that all of it matters, and a tokenizer of the planted words."""
    torch.manual_seed(5)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.3)
    model.save_pretrained(folder)
    train_tokenizer(["red wool scarf", "blue steel drill"], VOCABULARY).save_pretrained(folder)
    return folder


def trained(planted: Planted, source: Path, steps: int, **backbone: object) -> Run:
    config = tiny_config(backbone={"source": str(source), **backbone})
    run = Run.of(config, read_training_data(planted.data, config.encoder.event_types), progress=False)
    for step in range(1, steps + 1):
        run.step(step)
    return run


def copies(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def changed(before: dict[str, Tensor], module: nn.Module) -> set[str]:
    return {name for name, tensor in module.state_dict().items() if not torch.equal(tensor, before[name])}


def vectors(encoder: ServingEncoder) -> np.ndarray:
    """Of two items and of a history of them with a query."""
    items = encoder.encode_items(["0-1", "cold"], ["red wool", "blue drill"], np.ones((2, 6), np.float32), np.array([True, False]))
    interest = encoder.encode_histories(items[None], np.ones((1, 2), np.int64), np.zeros((1, 2), np.int64), [["wool", None]])
    return np.concatenate([items, interest])


@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen2"])
def test_adapters_learn_alone_and_are_merged_when_exported(
    name: str, planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = pretrained(tmp_path / name, family(name))
    run = trained(planted, source, 0, tuning="lora", lora={"rank": 2, "alpha": 6})
    backbone = run.start.model.backbone
    before = copies(backbone)
    for step in range(1, 9):
        run.step(step)
    moved = changed(before, backbone)
    assert moved
    assert all(".lora_" in part for part in moved)
    assert any("lora_B" in part for part in moved)

    folder = tmp_path / "encoders" / "v"
    monkeypatch.setattr("karma.training.trainer.Run.of", lambda *_, **__: run)
    monkeypatch.setattr(run, "fit", lambda *_, **__: {})
    folder = train(run.config, planted.data, tmp_path / "encoders", progress=False)
    with safe_open(folder / "model.safetensors", framework="pt") as weights:
        names = set(weights.keys())
    assert not [part for part in names if "lora" in part or "base_layer" in part]
    for module in [module for module in sys.modules if module.partition(".")[0] == "peft"]:
        monkeypatch.setitem(sys.modules, module, None)  # importing it now raises ImportError
    loaded = load_encoder(folder)
    adapted = ServingEncoder(
        loaded.manifest, run.start.model, run.start.tokenizer, {item: row for row, item in enumerate(run.start.item_ids)}
    )
    assert np.abs(vectors(loaded) - vectors(adapted)).max() < 1e-5
    original = AutoModelForCausalLM.from_pretrained(source).base_model
    loaded.model.backbone.model.load_state_dict(original.state_dict())
    assert np.abs(vectors(loaded) - vectors(adapted)).max() > 1e-4


def test_a_merged_matrix_is_the_matrix_and_its_scaled_product(planted: Planted, tmp_path: Path) -> None:
    run = trained(planted, pretrained(tmp_path / "llama", family("llama")), 3, tuning="lora", lora={"rank": 2, "alpha": 6})
    raw, merged = copies(run.start.model), merged_weights(run.start.model)
    place = "backbone.model.layers.1.mlp.up_proj"
    down, up = raw[f"{place}.lora_A.default.weight"], raw[f"{place}.lora_B.default.weight"]
    assert torch.allclose(merged[f"{place}.weight"], raw[f"{place}.base_layer.weight"] + 6 / 2 * up @ down, atol=1e-6)
    assert changed(raw, run.start.model) == set()


def test_adapters_start_as_the_model_itself(tmp_path: Path) -> None:
    config = BackboneConfig(source=str(pretrained(tmp_path / "llama", family("llama"))), tuning="lora")
    plain, adapted = (Backbone(load_pretrained(config, longest=LONGEST)[1].base_model).eval() for _ in range(2))
    tune(adapted, config)
    tokens = torch.randn(2, 5, 16)
    assert torch.allclose(plain(tokens), adapted(tokens), atol=1e-6)


def test_chosen_modules_alone_are_adapted(planted: Planted, tmp_path: Path) -> None:
    source = pretrained(tmp_path / "llama", family("llama"))
    run = trained(planted, source, 0, tuning="lora", lora={"target_modules": ["q_proj", "v_proj"]})
    adapted = {name.split(".lora_")[0].rpartition(".")[2] for name in run.start.model.state_dict() if ".lora_" in name}
    assert adapted == {"q_proj", "v_proj"}
    with pytest.raises(PretrainedModelError, match=r"among .*q_proj.*got: \['wings'\]"):
        trained(planted, source, 0, tuning="lora", lora={"target_modules": ["wings"]})


@pytest.mark.parametrize("tuning", ["frozen", "lora", "full"])
def test_what_does_not_learn_keeps_its_weights_and_has_no_optimiser_state(tuning: str, planted: Planted, tmp_path: Path) -> None:
    run = trained(planted, pretrained(tmp_path / "gpt2", family("gpt2")), 0, tuning=tuning)
    model, decoders = run.start.model, run.learner.decoders
    before, heads = copies(model), copies(decoders)
    for step in range(1, 4):
        run.step(step)
    moved = changed(before, model)
    embeddings = "backbone.model.wte.weight"
    assert {"tower.text.weight", "interest.item_input.weight", "interest.residual.weight"} <= moved
    assert "lm_head.weight" in changed(heads, decoders)
    assert (embeddings in moved) == (tuning == "full")
    originals = {name for name in before if name.startswith("backbone.") and ".lora_" not in name}
    stateful = {id(parameter) for parameter in run.optimiser.state}
    with_state = {name for name, parameter in model.named_parameters() if id(parameter) in stateful}
    if tuning == "full":
        assert originals <= moved
        assert embeddings in with_state
    else:
        assert originals & (moved | with_state) == set()
        assert {name for name in moved if ".lora_" in name} == {name for name in with_state if ".lora_" in name}


@pytest.mark.parametrize("name", ["llama", "gpt2", "qwen2"])
def test_kept_layers_are_the_model_s_own_in_their_order(name: str, tmp_path: Path) -> None:
    """Layer by layer: what a model of layers 0 and 2 computes is what a model with those weights alone does."""
    config = family(name, **({"use_sliding_window": True, "max_window_layers": 2} if name == "qwen2" else {}))
    source = pretrained(tmp_path / name, config)
    _, kept = load_pretrained(BackboneConfig(source=str(source), keep_layers=(0, 2)), longest=LONGEST)
    whole = AutoModelForCausalLM.from_pretrained(source)
    layers = "transformer.h." if name == "gpt2" else "model.layers."
    state = {part: value for part, value in whole.state_dict().items() if f"{layers}1." not in part and f"{layers}2." not in part}
    last = {part.replace(f"{layers}2.", f"{layers}1."): value for part, value in whole.state_dict().items() if f"{layers}2." in part}
    if name == "qwen2":
        assert kept.config.layer_types == ["full_attention", "sliding_attention"]
    by_hand = AutoModelForCausalLM.from_config(kept.config)
    by_hand.load_state_dict({**state, **last})
    tokens = torch.randn(2, 5, 16)
    expected = by_hand.base_model.eval()(inputs_embeds=tokens).last_hidden_state
    found = Backbone(kept.base_model)(tokens)
    assert kept.config.num_hidden_layers == 2
    assert torch.allclose(found, expected, atol=1e-6)
    assert not torch.allclose(found, Backbone(whole.base_model)(tokens), atol=1e-2)


def test_layers_that_are_not_there_are_refused(tmp_path: Path) -> None:
    source = str(pretrained(tmp_path / "llama", family("llama")))
    with pytest.raises(PretrainedModelError, match=r"0 to 2.*got: \[0, 3\]"):
        load_pretrained(BackboneConfig(source=source, keep_layers=(0, 3)), longest=LONGEST)
    for wrong in ((), (1, 0), (1, 1)):
        with pytest.raises(ValidationError, match="ascend"):
            BackboneConfig(source=source, keep_layers=wrong)
    with pytest.raises(ValidationError, match="source is not set"):
        BackboneConfig(keep_layers=(0,))


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_a_trimmed_head_gives_the_same_logits_for_the_tokens_it_has(name: str, tmp_path: Path) -> None:
    _, model = load_pretrained(BackboneConfig(source=str(pretrained(tmp_path / name, family(name)))), longest=LONGEST)
    read, kept = torch.tensor([[5, 90, 7]]), torch.tensor([2, 7, 90, 201])
    full, embeddings = model(input_ids=read).logits, model.get_input_embeddings().weight.clone()
    rows = trim_head(model, kept)
    assert torch.allclose(model(input_ids=read).logits, full[..., kept], atol=1e-5)
    assert rows.shape == (VOCABULARY,)
    assert rows[kept].tolist() == [0, 1, 2, 3]
    assert torch.equal(model.get_input_embeddings().weight, embeddings)


def test_texts_are_read_as_tokens_and_written_as_rows_of_the_head() -> None:
    texts = Texts(tokens=torch.tensor([[7, 9], [4, 0]]), lengths=torch.tensor([2, 1]), begin=1, end=2)
    assert texts.written_tokens().tolist() == [2, 4, 7, 9]
    rows = torch.zeros(10, dtype=torch.int64)
    rows[[2, 4, 7, 9]] = torch.arange(4)
    read, write, real = replace(texts, head_rows=rows).written(torch.tensor([0, 1]))
    assert read.tolist() == [[1, 7, 9], [1, 4, 0]]
    assert write.tolist() == [[2, 3, 0], [1, 0, 0]]
    assert real.tolist() == [[True, True, True], [True, True, False]]


def test_the_heads_write_the_catalogue_s_tokens_alone_and_any_token_is_still_read(planted: Planted, tmp_path: Path) -> None:
    run = trained(planted, pretrained(tmp_path / "llama", family("llama")), 1)
    texts = read_training_data(planted.data, run.config.encoder.event_types).catalogue.texts
    tokenizer = run.start.tokenizer
    occurring = {token for text in texts for token in tokenizer(text, add_special_tokens=False)["input_ids"][:8]} | {tokenizer.eos_token_id}
    assert len(run.learner.decoders.lm_head.weight) == len(run.learner.decoders.text.head.weight) == len(occurring) < VOCABULARY
    assert run.start.model.backbone.embeddings.num_embeddings == VOCABULARY
    new = bag_of([tokenizer("zebra")["input_ids"]])
    assert set(new.ids.tolist()) - occurring
    assert run.start.model.backbone.pool(new).norm().item() == pytest.approx(1.0, abs=1e-5)


def test_a_pretrained_model_warms_up_where_that_is_asked_for(planted: Planted, tmp_path: Path) -> None:
    source = pretrained(tmp_path / "llama", family("llama"))
    original = AutoModelForCausalLM.from_pretrained(source).base_model.state_dict()
    assert changed(original, trained(planted, source, 0).start.model.backbone.model) == set()
    healed = trained(planted, source, 0, warm_up_steps=3, tuning="frozen").start.model.backbone
    assert {"embed_tokens.weight", "layers.0.mlp.up_proj.weight"} <= changed(original, healed.model)
    assert not any(parameter.requires_grad for parameter in healed.parameters())
    assert all(parameter.grad is None for parameter in healed.parameters()), "they would count when gradients are clipped"
    assert [BackboneConfig(**told).warms_up_for for told in ({}, {"source": "x"}, {"warm_up_steps": 0})] == [200, 0, 0]


def test_lora_without_layers_is_refused() -> None:
    with pytest.raises(ValidationError, match="use_lm is false"):
        TrainingConfig(encoder=EncoderConfig(use_lm=False), objectives={"generation": 0}, backbone={"tuning": "lora"})


def refused(source: object, **changes: object) -> str:
    with pytest.raises(PretrainedModelError) as caught:
        load_pretrained(BackboneConfig(source=str(source), **changes), longest=LONGEST)
    return str(caught.value)


def test_a_source_that_is_no_causal_language_model_is_refused(tmp_path: Path) -> None:
    assert "is no folder" in refused(tmp_path / "nowhere")
    assert "is no folder" in refused("./models/nowhere")
    (tmp_path / "file").write_text("x")
    assert "is no folder" in refused(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert "cannot be loaded by AutoTokenizer" in refused(tmp_path / "empty")
    train_tokenizer(["a"], VOCABULARY).save_pretrained(tmp_path / "empty")
    assert "cannot be loaded by AutoModelForCausalLM" in refused(tmp_path / "empty")
    bert = BertConfig(vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    assert "not causal" in refused(pretrained(tmp_path / "bert", bert))
    assert "embeddings of 284 tokens; got: 200" in refused(pretrained(tmp_path / "narrow", family("llama", vocab_size=200)))
    short = GPT2Config(vocab_size=VOCABULARY, n_embd=16, n_layer=1, n_head=2, n_positions=16)
    assert "too few tokens" in refused(pretrained(tmp_path / "short", short))


def test_a_folder_with_torn_or_missing_weights_is_refused(tmp_path: Path) -> None:
    source = pretrained(tmp_path / "llama", family("llama", tie_word_embeddings=False))
    headless = shutil.copytree(source, tmp_path / "headless")
    AutoModelForCausalLM.from_pretrained(source).base_model.save_pretrained(headless)
    assert "none for lm_head.weight" in refused(headless)
    (source / "model.safetensors").write_bytes(b"torn")
    assert "cannot be loaded by AutoModelForCausalLM" in refused(source)


def test_a_hub_that_cannot_be_reached_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    told = refused("nobody/nothing", revision="main")
    assert "nobody/nothing cannot be loaded by AutoTokenizer" in told
    assert "hf download" in told


@pytest.mark.parametrize(("given", "precision", "bf16"), [(True, "bf16", True), (True, "fp32", False), (False, "bf16", False)])
def test_only_a_pretrained_backbone_is_judged_in_the_precision_of_its_training(
    given: bool, precision: str, bf16: bool, planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def spied(*args: Any, **options: Any) -> ServingEncoder:
        asked.append(options["bf16"])
        return load_encoder(*args, **options)

    monkeypatch.setattr("karma.training.study.load_encoder", spied)
    own = {"source": str(pretrained(tmp_path / "source", family("llama")))} if given else {"hidden": 16, "heads": 2, "layers": 1}
    config = tiny_config(precision=precision, backbone=own, steps=2, validate_every=2)
    histories = list(read_histories(planted.data).values())
    cold = np.zeros(len(histories), bool)
    targets = ["0-19"] * len(histories)
    held_out = AskedTargets(catalogue=read_catalogue(planted.data), histories=histories, targets=targets, cold=cold)
    run_arm(config, planted.data, held_out, tmp_path / "out")
    assert set(asked) == {bf16}
