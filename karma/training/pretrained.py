"""Pretrained models by folder or hub id: a causal LM, checked and cut to what a backbone needs of it, and a frozen text encoder."""

import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from karma.config import BackboneConfig, PretrainedModelError, SourceConfig, TextEncoderConfig
from karma.model.text_encoder import TextEncoder
from karma.tokenizer import bag_of, token_ids

_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_LOADING_ERRORS = (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, ImportError, IndexError, SafetensorError)
"""What transformers raises for files that are missing, torn, of another kind of model, or of one that it does not know."""


def load_pretrained(config: BackboneConfig, *, longest: int) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Tokenizer and float32 model of ``config.source``, with the layers of ``config.keep_layers`` alone. No code of the source is run.

    Args:
        longest: most tokens that the model will read at once.

    Raises:
        PretrainedModelError: there is nothing at ``source``, or it is no causal language model that reads continuous tokens.
    """
    tokenizer, model = _tokenizer_and_model(AutoModelForCausalLM, config)
    _refuse_what_cannot_read(config, model, longest)
    if config.keep_layers is not None:
        keep_layers(model, config.keep_layers)
    return tokenizer, model


def load_text_encoder(config: TextEncoderConfig, *, longest: int) -> tuple[PreTrainedTokenizerBase, TextEncoder]:
    """Tokenizer and frozen float32 model of ``config.source``. No code of the source is run.

    Args:
        longest: most tokens of a text, special ones aside.

    Raises:
        PretrainedModelError: there is nothing at ``source``, or it gives no states of texts.
    """
    tokenizer, model = _tokenizer_and_model(AutoModel, config)
    encoder = TextEncoder(model)
    tokens = token_ids(tokenizer, ["a " * longest], longest, special_tokens=True)
    try:
        encoder(bag_of(tokens))
    except _LOADING_ERRORS as error:
        raise PretrainedModelError(
            f"{config.source} does not read texts",
            expected=f"an encoder that gives last_hidden_state for {len(tokens[0])} tokens",
            got=f"{type(error).__name__}: {error}",
            hint="name another text_encoder.source, or lower encoder.max_tokens",
        ) from error
    return tokenizer, encoder


def _tokenizer_and_model(loader: Any, config: SourceConfig) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    _refuse_no_folder(str(config.source))
    tokenizer = _loaded(AutoTokenizer, config)
    model, told = _loaded(loader, config, dtype=torch.float32, output_loading_info=True)
    if missing := sorted(name for name in told["missing_keys"] if not name.startswith("pooler.")):  # no state passes a BERT's pooler
        raise PretrainedModelError(
            f"{config.source} lacks weights of its model",
            expected=f"every weight of a {type(model).__name__}",
            got=f"none for {', '.join(missing[:3])}{' ..' if len(missing) > 3 else ''}",
            hint="save the whole model by save_pretrained: a causal LM with its head, not its body alone",
        )
    rows = len(model.get_input_embeddings().weight)
    if len(tokenizer) > rows:
        raise PretrainedModelError(
            f"{config.source}: tokenizer and model are of two models",
            expected=f"embeddings of {len(tokenizer)} tokens",
            got=rows,
            hint="put the model's own tokenizer into its folder",
        )
    return tokenizer, model


def _refuse_no_folder(source: str) -> None:
    """A path that is mistyped must not be looked up on the hub."""
    could_be_on_the_hub = not Path(source).exists() and _HUB_ID.fullmatch(source)
    if not (Path(source).is_dir() or could_be_on_the_hub):
        raise PretrainedModelError(
            "source is no folder",
            expected="a folder with a model and its tokenizer, or a hub id",
            got=source,
            hint="a path is taken from where the command runs; ~ is not read as your home",
        )


def _loaded(loader: Any, config: SourceConfig, **options: Any) -> Any:
    source = str(config.source)
    try:
        return loader.from_pretrained(source, revision=config.revision, trust_remote_code=False, **options)
    except _LOADING_ERRORS as error:
        if Path(source).is_dir():
            expected, hint = "what save_pretrained of a model and of its tokenizer write", "complete the folder"
        else:
            expected = "a model on the hub, since there is no such folder"
            hint = "without a network, fetch it elsewhere (hf download ID --local-dir FOLDER) and name the folder"
        said = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        raise PretrainedModelError(f"{source} cannot be loaded by {loader.__name__}", expected=expected, got=said, hint=hint) from error


def _refuse_what_cannot_read(config: BackboneConfig, model: PreTrainedModel, longest: int) -> None:
    width = model.get_input_embeddings().weight.shape[1]
    positions = getattr(model.config, "max_position_embeddings", None) or longest
    looks_ahead, state_width = _probe(config, model)
    checks = (
        (positions >= longest, "the model reads too few tokens", f"{longest}, of a history and a text after it", positions),
        (state_width == width, "the model's states are not as wide as its token embeddings", width, state_width),
        (not looks_ahead, "the model is not causal: its states depend on later tokens", "a causal LM", type(model).__name__),
    )
    for holds, message, expected, got in checks:
        if not holds:
            raise PretrainedModelError(f"{config.source}: {message}", expected=expected, got=got, hint="name another backbone.source")


def _probe(config: BackboneConfig, model: PreTrainedModel) -> tuple[bool, int]:
    """Whether a state depends on a token after it, and how wide a state is."""
    tokens = model.get_input_embeddings().weight[:4][None].detach()
    other = torch.cat([tokens[:, :3], tokens[:, :1]], 1)
    try:
        with torch.inference_mode():
            first, second = (body_of(model)(inputs_embeds=read, use_cache=False).last_hidden_state for read in (tokens, other))
    except _LOADING_ERRORS as error:
        raise PretrainedModelError(
            f"{config.source} does not read continuous tokens",
            expected="a model that takes inputs_embeds and gives last_hidden_state",
            got=f"{type(error).__name__}: {error}",
            hint="name another backbone.source",
        ) from error
    return not torch.allclose(first[:, :3], second[:, :3], atol=1e-5), first.shape[-1]


def keep_layers(model: PreTrainedModel, kept: tuple[int, ...]) -> None:
    """Leave the layers numbered ``kept`` (ascending, from 0) in their order, and say so in the model's configuration.

    Raises:
        PretrainedModelError: there is no such layer, or the model does not hold its layers in one list.
    """
    config, total = model.config, model.config.num_hidden_layers
    stacks = [name for name, part in model.named_modules() if isinstance(part, nn.ModuleList) and len(part) == total]
    if kept[-1] >= total or len(stacks) != 1:
        raise PretrainedModelError(
            f"keep_layers does not fit {type(model).__name__}",
            expected=f"numbers from 0 to {total - 1}, of a model with one list of layers",
            got=f"{list(kept)}, and {len(stacks)} lists",
            hint="without keep_layers all layers are kept",
        )
    layers = [model.get_submodule(stacks[0])[number] for number in kept]
    model.set_submodule(stacks[0], nn.ModuleList(layers))
    for number, layer in enumerate(layers):
        for part in layer.modules():
            if hasattr(part, "layer_idx"):
                part.layer_idx = number
    for name, value in config.to_dict().items():
        if "layer" in name and isinstance(value, list) and len(value) == total:  # one entry a layer, such as its kind of attention
            setattr(config, name, [value[number] for number in kept])
    config.num_hidden_layers = len(kept)


def trim_head(model: PreTrainedModel, tokens: Tensor) -> Tensor:
    """Cut the language-model head to the rows of ``tokens``, int64 [k], distinct.

    Only training writes texts, and only the catalogue's: the head is most of a step's work where few of many tokens occur. The token
    embeddings stay whole, so that later titles and queries are read like any.

    Returns: int64 [v], a token's row in the cut head; 0 for tokens that it cannot write.
    """
    head = head_of(model)
    cut = nn.utils.skip_init(nn.Linear, head.in_features, len(tokens), bias=head.bias is not None)
    cut.load_state_dict({name: value[tokens] for name, value in head.state_dict().items()})
    model.set_output_embeddings(cut)
    return torch.zeros(head.out_features, dtype=torch.int64).scatter(0, tokens, torch.arange(len(tokens)))


def body_of(model: PreTrainedModel) -> PreTrainedModel:
    """The model below the head. Raises PretrainedModelError."""
    body = model.base_model
    if not isinstance(body, PreTrainedModel) or body is model:
        raise _not_built_like_a_causal_lm(model, "a body below its head")
    return body


def head_of(model: PreTrainedModel) -> nn.Linear:
    """The language-model head. Raises PretrainedModelError."""
    head = model.get_output_embeddings()
    if not isinstance(head, nn.Linear):
        raise _not_built_like_a_causal_lm(model, "a linear language-model head")
    return head


def _not_built_like_a_causal_lm(model: PreTrainedModel, expected: str) -> PretrainedModelError:
    name = type(model).__name__
    return PretrainedModelError(f"{name} is not built like a causal LM", expected=expected, got="none", hint="name another backbone.source")
