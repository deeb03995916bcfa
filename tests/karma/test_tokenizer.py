"""Tokens of texts: nothing is unknown, nothing is random, empty texts are allowed."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from karma.model.backbone import Backbone, small_llama
from karma.tokenizer import bag_of, begin_and_end, token_ids, train_tokenizer
from karma.training.start import texts_of

TEXTS = ["red wool scarf", "blue wool hat", "steel drill 500w"]
TOKENIZER = train_tokenizer(TEXTS, 320)


@given(st.text())
def test_every_text_survives_its_tokens(text: str) -> None:
    ids = token_ids(TOKENIZER, [text], 10_000)[0]
    assert TOKENIZER.decode(ids, clean_up_tokenization_spaces=False).removeprefix(" ") == text.removeprefix(" ")


def test_the_same_texts_make_the_same_tokenizer() -> None:
    assert train_tokenizer(TEXTS, 320).backend_tokenizer.to_str() == TOKENIZER.backend_tokenizer.to_str()


def test_texts_are_cut_and_get_no_special_tokens() -> None:
    full, cut = token_ids(TOKENIZER, ["steel drill 500w"], 50)[0], token_ids(TOKENIZER, ["steel drill 500w"], 2)[0]
    assert cut == full[:2]
    assert not set(full) & set(TOKENIZER.all_special_ids)
    assert begin_and_end(TOKENIZER) == (1, 2)


def test_a_bag_pools_each_text_alone_and_empty_ones_to_zero() -> None:
    llama = small_llama(vocabulary=12, hidden=4, layers=1, heads=1, intermediate=4, end=2)
    backbone = Backbone(llama.base_model)
    pooled = backbone.pool(bag_of([[3, 5], [], [7], [3, 5, 5]]))
    weight = backbone.embeddings.weight
    for row, tokens in enumerate([[3, 5], [], [7], [3, 5, 5]]):
        mean = weight[tokens].mean(0) if tokens else torch.zeros(4)
        assert torch.allclose(pooled[row], mean / mean.norm().clamp(min=1e-12), atol=1e-6)


def test_written_texts_shift_by_one_and_end() -> None:
    texts = texts_of(TOKENIZER, ["red", "", "red wool"], 8)
    ids = token_ids(TOKENIZER, ["red", "", "red wool"], 8)
    read, write, real = texts.written(torch.tensor([2, 1, 0]))
    for row, place in enumerate([2, 1, 0]):
        assert read[row][real[row]].tolist() == [1, *ids[place]]
        assert write[row][real[row]].tolist() == [*ids[place], 2]
    bag = texts.bag(torch.tensor([2, 1, 0]))
    assert bag.ids.tolist() == ids[2] + ids[1] + ids[0]
    assert bag.offsets.tolist() == [0, len(ids[2]), len(ids[2])]


def test_texts_lie_on_the_cpu_while_a_run_makes_its_tensors_elsewhere() -> None:
    with torch.device("meta"):
        texts = texts_of(TOKENIZER, ["red", "red wool"], 8)
    assert texts.tokens.device.type == texts.lengths.device.type == "cpu"
    assert texts.lengths.tolist() == [1, 2]
