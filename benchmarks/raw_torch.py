"""Models in plain PyTorch, with its own layers, initial weights and optimizers.

Its optimizers add epsilon elsewhere than Keras does: the same work a step, but not the same
weights. Images are in channels-last memory, which is the faster layout on CPUs, and how they come.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from contenders import Model
from torch import nn
from workloads import CROSSENTROPY, PREDICTED, RATE, Workload


def mlp(*widths: int) -> nn.Module:
    layers: list[nn.Module] = []
    for shape in itertools.pairwise(widths):
        layers += [nn.Linear(*shape), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class ChannelsFirst(nn.Module):
    """A view of images whose channels come last, in the order of axes that PyTorch wants."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 3, 1, 2)


def cnn() -> nn.Module:
    return nn.Sequential(
        ChannelsFirst(),
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Linear(128, 10),
    ).to(memory_format=torch.channels_last)  # fmt: skip


class Recurrent(nn.Module):
    """An LSTM or GRU whose last state gives the outputs."""

    def __init__(self, kind: type[nn.RNNBase], features: int, units: int, outputs: int) -> None:
        super().__init__()
        self.rnn = kind(features, units, batch_first=True, bidirectional=outputs > 1)
        self.last = nn.Linear(units * (2 if outputs > 1 else 1), outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, state = self.rnn(x)
        h = state[0] if isinstance(state, tuple) else state
        return self.last(torch.cat([*h], -1))


def conv(channels: int, filters: int, size: int, **options: Any) -> nn.Module:
    options = {"padding": "same", **options}
    return nn.Sequential(nn.Conv2d(channels, filters, size, **options), nn.ReLU())


class SamePad(nn.Module):
    """What Keras adds for stride 2 with padding "same": one row and column behind."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.pad(x, (0, 1, 0, 1))


def strided(channels: int, filters: int, **options: Any) -> nn.Module:
    return nn.Sequential(
        SamePad(), nn.Conv2d(channels, filters, 3, 2, **options), nn.ReLU()
    )  # fmt: skip


def pooled(*layers: nn.Module, channels: int) -> nn.Module:
    last = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]
    net = nn.Sequential(ChannelsFirst(), *layers, *last)
    return net.to(memory_format=torch.channels_last)


def dwise() -> nn.Module:
    layers, channels = [strided(3, 32)], 32
    for filters, strides in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        if strides == 2:
            layers.append(strided(channels, channels, groups=channels))
        else:
            layers.append(conv(channels, channels, 3, groups=channels))
        layers.append(conv(channels, filters, 1))
        channels = filters
    return pooled(*layers, channels=channels)


def dilated() -> nn.Module:
    layers = [strided(3, 32), *(conv(32, 32, 3, dilation=d) for d in (2, 4))]
    return pooled(*layers, strided(32, 64), conv(64, 64, 3, dilation=2), channels=64)


class Block(nn.Module):
    """A residual block with batch normalisation."""

    def __init__(self, channels: int, filters: int, strides: int) -> None:
        super().__init__()
        options: dict[str, Any] = {"bias": False}
        first = nn.Conv2d(channels, filters, 3, strides, 0 if strides > 1 else 1, **options)
        self.body = nn.Sequential(
            SamePad() if strides > 1 else nn.Identity(), first, nn.BatchNorm2d(filters), nn.ReLU(),
            nn.Conv2d(filters, filters, 3, padding=1, **options), nn.BatchNorm2d(filters),
        )  # fmt: skip
        self.side = nn.Sequential(
            nn.Conv2d(channels, filters, 1, strides, **options), nn.BatchNorm2d(filters)
        ) if strides > 1 else nn.Identity()  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.side(x))


def resnet() -> nn.Module:
    first = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    return pooled(first, Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2), channels=64)


class Embed(nn.Module):
    """Words to vectors, their mean, classes."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.net = nn.Embedding(10_000, 64), mlp(64, 64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(self.table(x).mean(1))


class Transformer(nn.Module):
    """One encoder block and the mean over time."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.TransformerEncoderLayer(128, 4, 256, dropout=0.0, batch_first=True)
        self.last = nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.block(x).mean(1))


class Module(nn.Module):
    """An Inception module."""

    def __init__(
        self, channels: int, one: int, three: tuple[int, int], five: tuple[int, int], last: int
    ) -> None:
        super().__init__()
        self.towers = nn.ModuleList(
            [
                conv(channels, one, 1),
                nn.Sequential(conv(channels, three[0], 1), conv(*three, 3)),
                nn.Sequential(conv(channels, five[0], 1), conv(*five, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv(channels, last, 1)),
            ]
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([tower(x) for tower in self.towers], 1)


def incept() -> nn.Module:
    modules = Module(32, 16, (16, 32), (8, 16), 16), Module(80, 32, (32, 64), (16, 32), 32)
    return pooled(conv(3, 32, 3), modules[0], nn.MaxPool2d(2), modules[1], channels=160)


NETWORKS: dict[str, Callable[[], Any]] = {
    "mlp_s": lambda: mlp(784, 32, 10),
    "mlp_l": lambda: mlp(784, 1024, 1024, 10),
    "mlp_xl": lambda: mlp(2048, 2048, 2048, 2048, 2048, 10),
    "odd": lambda: mlp(301, 173, 59, 13),
    "cnn": cnn,
    "lstm": lambda: Recurrent(nn.LSTM, 32, 64, 1),
    "gru": lambda: Recurrent(nn.GRU, 32, 64, 1),
    "bidir": lambda: Recurrent(nn.LSTM, 40, 48, 10),
    "incept": incept,
    "dwise": dwise,
    "dilated": dilated,
    "resnet": resnet,
    "embed": Embed,
    "transformer": Transformer,
}


def contender(workload: str, work: Workload, compiled: bool = False) -> Model:
    """The workload in eager PyTorch, or by torch.compile.

    Raises:
        LookupError: when it is not written here.
    """
    workload = PREDICTED.get(workload, workload)
    if workload not in NETWORKS:
        raise LookupError(f"raw PyTorch has no model of {workload}")
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = NETWORKS[workload]()
    if work.optimizer == "RMSprop":
        optimizer: Any = torch.optim.RMSprop(
            model.parameters(), RATE, alpha=0.9, eps=1e-7, foreach=True
        )
    else:
        optimizer = torch.optim.Adam(model.parameters(), RATE, eps=1e-7, fused=True)

    def outputs(x: torch.Tensor) -> torch.Tensor:
        return model(x).softmax(-1) if work.outputs > 1 else model(x)

    def loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if work.loss == CROSSENTROPY:
            return nn.functional.cross_entropy(model(x), y)
        return nn.functional.mse_loss(outputs(x), y)

    if compiled:
        outputs, loss = torch.compile(outputs), torch.compile(loss)
    random = np.random.default_rng(0)

    def train(x: np.ndarray, y: np.ndarray) -> None:
        inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
        for rows in torch.from_numpy(random.permutation(len(x))).split(work.batch):
            optimizer.zero_grad()
            loss(inputs[rows], targets[rows]).backward()
            optimizer.step()

    def call(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(outputs(torch.from_numpy(x)))

    return Model(f"torch {torch.__version__}", train, call)
