"""Small models of transformers for each kind of labels, and examples of differing lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers as tf
from transformers import TrainingArguments

WORDS, CLASSES, PAD = 40, 5, 0
KINDS = [
    *("classification", "regression", "tagging", "answering", "masked", "causal", "seq2seq"),
]


def model_of(kind: str, dropout: float = 0.0, scaled: bool = False):
    """A fresh model, always with the same weights; ``scaled``: causal, and scales its logits."""
    torch.manual_seed(0)
    if kind == "seq2seq":
        config = tf.MarianConfig(
            vocab_size=WORDS,
            d_model=16,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=32,
            decoder_ffn_dim=32,
            max_position_embeddings=32,
            dropout=dropout,
            pad_token_id=PAD,
            eos_token_id=1,
            decoder_start_token_id=PAD,
            forced_eos_token_id=None,
        )
        return tf.MarianMTModel(config)
    if kind == "causal" and scaled:
        config = tf.CohereConfig(
            vocab_size=WORDS,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            logit_scale=0.25,
            pad_token_id=PAD,
            bos_token_id=1,
            eos_token_id=2,
        )
        return tf.CohereForCausalLM(config)
    if kind == "causal":
        drops = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), dropout)
        size = {"n_positions": 32, "n_embd": 16, "n_layer": 1, "n_head": 2}
        ends = {"bos_token_id": 1, "eos_token_id": 2}
        return tf.GPT2LMHeadModel(tf.GPT2Config(vocab_size=WORDS, **size, **ends, **drops))
    config = tf.BertConfig(
        vocab_size=WORDS,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        num_labels={"regression": 1, "answering": 2}.get(kind, CLASSES),
    )
    named = {
        "classification": tf.BertForSequenceClassification,
        "regression": tf.BertForSequenceClassification,
        "tagging": tf.BertForTokenClassification,
        "answering": tf.BertForQuestionAnswering,
        "masked": tf.BertForMaskedLM,
    }
    return named[kind](config)


def examples(kind: str, count: int = 24) -> list[dict[str, Any]]:
    """Examples of 3 to 9 tokens."""
    draw = torch.Generator().manual_seed(3)

    def some(n: int, high: int, low: int = 0) -> list[int]:
        return torch.randint(low, high, (n,), generator=draw).tolist()

    made = []
    for _ in range(count):
        length = some(1, 10, 3)[0]
        example: dict[str, Any] = {"input_ids": some(length, WORDS, 3)}
        if kind == "classification":
            example["labels"] = some(1, CLASSES)[0]
        elif kind == "regression":
            example["labels"] = some(1, 100)[0] / 50
        elif kind == "answering":
            start, end = sorted(some(2, length + 1))  # some beyond the text
            example |= {"start_positions": start, "end_positions": end}
        elif kind == "seq2seq":
            example["labels"] = [*some(some(1, 9, 2)[0], WORDS, 3), 1]
        else:
            example["labels"] = some(length, CLASSES if kind == "tagging" else WORDS)
            example["labels"][0] = -100
        made.append(example)
    return made


def collate(kind: str, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """A batch, padded."""
    batch: dict[str, torch.Tensor] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if isinstance(values[0], list):
            filler = -100 if name == "labels" else PAD
            batch[name] = torch.nn.utils.rnn.pad_sequence(
                [torch.tensor(value) for value in values], True, filler
            )
        else:
            batch[name] = torch.tensor(values)
    batch["attention_mask"] = (batch["input_ids"] != PAD).long()
    return batch


def batch_of(kind: str, count: int = 4) -> dict[str, torch.Tensor]:
    """The first examples."""
    return collate(kind, examples(kind)[:count])


def arguments(folder: Path, **kwargs: Any) -> TrainingArguments:
    """Of a short training on the CPU that logs every update and saves nothing."""
    given: dict[str, Any] = {
        "per_device_train_batch_size": 3,
        "per_device_eval_batch_size": 5,
        "num_train_epochs": 1,
        "max_steps": 4,
        "optim": "sgd",  # Adam makes large steps of rounding where a gradient is zero
        "learning_rate": 0.05,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "seed": 5,
    }
    return TrainingArguments(str(folder), **{**given, **kwargs})
