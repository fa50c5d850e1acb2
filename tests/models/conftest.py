"""Encoders for the tests of models: a tiny transformer made on the spot, and the real default."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from labelwright.models.encoders import Encoder, load_encoder

WORDS = [
    *("the", "a", "is", "my", "was", "and", "not", "it", "card", "bank", "money", "lost", "late"),
    *("refund", "paid", "app", "screen", "crash", "bug", "login", "slow", "good", "great"),
    *("thanks", "love", "billing", "praise", "colour", "happy"),
]


def make_tiny_transformer(folder: Path, kind: str = "bert") -> Path:
    """A random transformer of three narrow layers with a word-piece tokeniser, as a folder."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import (
        BertConfig,
        BertModel,
        DistilBertConfig,
        DistilBertModel,
        PreTrainedTokenizerFast,
    )

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    letters = [chr(code) for code in range(97, 123)]
    pieces = dict.fromkeys([*special, *WORDS, *letters, *("##" + each for each in letters)])
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=256,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        size = len(vocabulary)
        model = (
            BertModel(
                BertConfig(
                    vocab_size=size,
                    hidden_size=32,
                    num_hidden_layers=3,
                    num_attention_heads=2,
                    intermediate_size=64,
                    max_position_embeddings=256,
                )
            )
            if kind == "bert"
            else DistilBertModel(
                DistilBertConfig(
                    vocab_size=size,
                    dim=32,
                    hidden_dim=64,
                    n_layers=3,
                    n_heads=2,
                    max_position_embeddings=256,
                )
            )
        )
        model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_transformer(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_distilbert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_transformer(tmp_path_factory.mktemp("distil"), "distilbert")


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Encoder:
    return load_encoder(str(tiny_folder))


@pytest.fixture(scope="session")
def minilm() -> Encoder:
    return load_encoder("all-MiniLM-L6-v2")
