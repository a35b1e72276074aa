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
from workloads import CROSSENTROPY, RATE, Workload


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
    """An LSTM whose last state gives one number."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(32, 64, batch_first=True)
        self.last = nn.Linear(64, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, (h, _) = self.lstm(x)
        return self.last(h[0])


def conv(channels: int, filters: int, size: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, filters, size, padding="same"), nn.ReLU())


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
    return nn.Sequential(
        ChannelsFirst(), conv(3, 32, 3), Module(32, 16, (16, 32), (8, 16), 16), nn.MaxPool2d(2),
        Module(80, 32, (32, 64), (16, 32), 32), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(160, 10),
    ).to(memory_format=torch.channels_last)  # fmt: skip


NETWORKS: dict[str, Callable[[], Any]] = {
    "mlp_s": lambda: mlp(784, 32, 10),
    "mlp_l": lambda: mlp(784, 1024, 1024, 10),
    "mlp_xl": lambda: mlp(2048, 2048, 2048, 2048, 2048, 10),
    "predict": lambda: mlp(784, 32, 10),
    "odd": lambda: mlp(301, 173, 59, 13),
    "cnn": cnn,
    "lstm": Recurrent,
    "incept": incept,
}


def contender(workload: str, work: Workload, compiled: bool = False) -> Model:
    """The workload in eager PyTorch, or by torch.compile.

    Raises:
        LookupError: when it is not written here.
    """
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
