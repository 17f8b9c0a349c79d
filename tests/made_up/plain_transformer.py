"""The Transformer, its loss and its optimiser once more, from their equations, for comparison.

Vaswani et al. 2017 (attention, feed-forward, residual and then layer norm), positions as fairseq
counts them, label smoothing and decoupled weight decay. Only matmul, softmax and elementary
functions; parameters are a dict by Marian's names; one sentence pair at a time, so there is no
padding to hide.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

Parameters = dict[str, Tensor]


def sinusoids(length: int, width: int) -> Tensor:
    """Positions from 2 on: sines in the first half, cosines in the second, [T, d]."""
    half = width // 2
    rows = []
    for place in range(2, length + 2):
        angles = [place / 10000 ** (i / (half - 1)) for i in range(half)]
        rows.append([math.sin(a) for a in angles] + [math.cos(a) for a in angles])
    return torch.tensor(rows, dtype=torch.float64)


def linear(p: Parameters, name: str, x: Tensor) -> Tensor:
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def layer_norm(p: Parameters, name: str, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    variance = (centred * centred).mean(-1, keepdim=True)
    return centred / torch.sqrt(variance + 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]


def attention(
    p: Parameters, name: str, x: Tensor, memory: Tensor, heads: int, causal: bool
) -> Tensor:
    """From queries of x [T, d] to keys and values of memory [S, d]."""
    q, k, v = (
        linear(p, f"{name}.{part}", source)
        for part, source in (("q_proj", x), ("k_proj", memory), ("v_proj", memory))
    )
    size = x.shape[-1] // heads
    outputs = []
    for head in range(heads):
        columns = slice(head * size, (head + 1) * size)
        scores = q[:, columns] @ k[:, columns].T / math.sqrt(size)  # [T, S]
        if causal:
            later = torch.arange(len(memory))[None, :] > torch.arange(len(x))[:, None]
            scores = scores.masked_fill(later, -math.inf)
        outputs.append(torch.softmax(scores, -1) @ v[:, columns])
    return linear(p, f"{name}.out_proj", torch.cat(outputs, -1))


def feed_forward(p: Parameters, name: str, x: Tensor) -> Tensor:
    return linear(p, f"{name}.fc2", linear(p, f"{name}.fc1", x).clamp(min=0))


def embedded(p: Parameters, side: str, ids: Tensor) -> Tensor:
    table = p[f"model.{side}.embed_tokens.weight"]
    width = table.shape[1]
    return table[ids] * math.sqrt(width) + sinusoids(len(ids), width).to(table.dtype)


def logits(p: Parameters, heads: int, source: Tensor, target: Tensor) -> Tensor:
    """Logits [T, V] for decoder inputs [T] and a source [S], neither with padding."""
    layers = 1 + max(int(name.split(".")[3]) for name in p if name.startswith("model.decoder.lay"))
    x = embedded(p, "encoder", source)
    for layer in range(layers):
        name = f"model.encoder.layers.{layer}"
        x = layer_norm(
            p,
            f"{name}.self_attn_layer_norm",
            x + attention(p, f"{name}.self_attn", x, x, heads, causal=False),
        )
        x = layer_norm(p, f"{name}.final_layer_norm", x + feed_forward(p, name, x))
    y = embedded(p, "decoder", target)
    for layer in range(layers):
        name = f"model.decoder.layers.{layer}"
        y = layer_norm(
            p,
            f"{name}.self_attn_layer_norm",
            y + attention(p, f"{name}.self_attn", y, y, heads, causal=True),
        )
        y = layer_norm(
            p,
            f"{name}.encoder_attn_layer_norm",
            y + attention(p, f"{name}.encoder_attn", y, x, heads, causal=False),
        )
        y = layer_norm(p, f"{name}.final_layer_norm", y + feed_forward(p, name, y))
    return y @ p["lm_head.weight"].T


def smoothed_loss(z: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy [T] to (1 - s) one-hot + s uniform, nats."""
    log_p = torch.log(torch.softmax(z, -1))
    target = torch.full_like(z, smoothing / z.shape[-1])
    target[torch.arange(len(labels)), labels] += 1 - smoothing
    return -(target * log_p).sum(-1)


@torch.no_grad()
def first_adamw_step(
    p: Parameters,
    gradients: Parameters,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
) -> Parameters:
    """Parameters after the first step of AdamW (Loshchilov and Hutter 2019) from zero moments."""
    after = {}
    for name, value in p.items():
        g = gradients[name]
        m, v = (1 - betas[0]) * g, (1 - betas[1]) * g * g
        m, v = m / (1 - betas[0]), v / (1 - betas[1])
        after[name] = value - lr * weight_decay * value - lr * m / (torch.sqrt(v) + eps)
    return after


def beam_search(
    p: Parameters,
    heads: int,
    source: Tensor,
    *,
    beams: int,
    length_penalty: float,
    max_length: int,
    special: tuple[int, int, int],
) -> list[int]:
    """The best hypothesis for one source [S] by fairseq's rules, without any cache.

    Of the 2 * beams best continuations, those that end count where they are among the first
    ``beams``, and the first ``beams`` of the others live on.
    """
    pad, eos, bos = special
    live, ended = [(0.0, [])], []
    for step in range(max_length):
        candidates = []
        for score, tokens in live:
            z = logits(p, heads, source, torch.tensor([eos, *tokens]))[-1]
            for token, log_p in enumerate(torch.log_softmax(z, -1).tolist()):
                last, first = step == max_length - 1, step == 0
                allowed = token == eos if last else token not in (pad, bos, eos if first else pad)
                if allowed:
                    candidates.append((score + log_p, [*tokens, token]))
        candidates = sorted(candidates, reverse=True)[: 2 * beams]
        for score, tokens in candidates[:beams]:
            if tokens[-1] == eos:
                ended.append((score / len(tokens) ** length_penalty, tokens))
        live = [pair for pair in candidates if pair[1][-1] != eos][:beams]
        if len(ended) >= beams:
            break
    return max(ended)[1]
