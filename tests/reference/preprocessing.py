"""Layers that prepare numbers, categories and words: one line a case, called on data.

Keras's lookups, hashes and texts need TensorFlow beside it, whatever the backend.
"""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A layer with its arguments, and what it is called on.

    Args:
        data: what `adapt` is called on before.
        call: further arguments of the call.
    """

    layer: str
    arguments: dict[str, Any]
    inputs: Any
    data: Any = None
    call: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        given = ",".join(f"{k}={v}" for k, v in (self.arguments | self.call).items())
        adapted = "" if self.data is None else " adapted"
        return f"{self.layer}({given}){adapted} {np.shape(self.inputs)}".replace("/", "_")


ROWS = [[0, 1], [3, 3], [1, 4]]
WEIGHTS = [[0.5, 0.25], [1.0, 2.0], [0.125, 1.0]]
NUMBERS = [[-1.0, 0.2], [0.5, 3.0], [7.5, 1.0]]
WORDS = [["one", "three"], ["two", "four"], ["", "one"]]
LETTERS = ["b", "a", "c", "a", "d", "", "b", "a", "[UNK]"]
TABLE = ["one", "two", "three"]
TEXTS = [
    "The cat, the DOG!",
    "a Dog  ran\taway - from\nthe cat",
    "",
    "\u00c4rger? caf\u00e9: the end.",
]
SPREAD = np.random.default_rng(1).normal(size=(700, 3)).astype(np.float32)
BATCHES = [SPREAD[:300], SPREAD[300:450], SPREAD[450:]]
LONG = [["x" * n] for n in (1, 3, 5, 9, 17, 31, 33, 64, 65, 200)]

CASES = [
    Case("CategoryEncoding", {"num_tokens": 5}, ROWS),
    Case("CategoryEncoding", {"num_tokens": 4, "output_mode": "one_hot"}, [3, 2, 0, 1]),
    Case("CategoryEncoding", {"num_tokens": 5, "output_mode": "one_hot"}, ROWS),
    Case("CategoryEncoding", {"num_tokens": 4, "output_mode": "one_hot"}, [[3], [2], [0]]),
    Case("CategoryEncoding", {"num_tokens": 5, "output_mode": "count"}, ROWS),
    Case("CategoryEncoding", {"num_tokens": 5, "output_mode": "count"}, ROWS,
         call={"count_weights": WEIGHTS}),
    Case("CategoryEncoding", {"num_tokens": 5}, [0, 4, 4]),
    Case("Discretization", {"bin_boundaries": [0.0, 1.0, 3.0]}, NUMBERS),
    Case("Discretization", {"bin_boundaries": [0.5], "output_mode": "one_hot"}, NUMBERS),
    Case("Discretization", {"bin_boundaries": [0.0, 1.0], "output_mode": "count"}, NUMBERS),
    Case("Discretization", {"num_bins": 4, "output_mode": "multi_hot"}, NUMBERS, SPREAD[:9]),
    Case("Discretization", {"num_bins": 7, "epsilon": 0.02}, SPREAD[:50], BATCHES),
    Case("Discretization", {"num_bins": 30, "epsilon": 0.003}, SPREAD[:50], SPREAD),
    Case("Hashing", {"num_bins": 13}, LONG),
    Case("Hashing", {"num_bins": 1000, "salt": 133}, LONG),
    Case("Hashing", {"num_bins": 1000, "salt": [133, 137]}, [5, -17, 123456789]),
    Case("Hashing", {"num_bins": 1000, "mask_value": ""}, WORDS),
    Case("Hashing", {"num_bins": 6, "output_mode": "one_hot"}, [[1], [2], [900]]),
    Case("Hashing", {"num_bins": 4, "output_mode": "multi_hot"}, WORDS),
    Case("Hashing", {"num_bins": 4, "output_mode": "count"}, WORDS),
    Case("StringLookup", {"vocabulary": TABLE}, WORDS),
    Case("StringLookup", {"vocabulary": TABLE, "mask_token": "", "num_oov_indices": 3}, WORDS),
    Case("StringLookup", {"vocabulary": TABLE, "num_oov_indices": 5, "salt": 7}, WORDS),
    Case("StringLookup", {"max_tokens": 4}, LETTERS, LETTERS),
    Case("StringLookup", {"mask_token": ""}, LETTERS, [LETTERS, LETTERS[::-1]]),
    Case("StringLookup", {"vocabulary": TABLE, "output_mode": "one_hot"}, ["two", "four"]),
    Case("StringLookup", {"vocabulary": TABLE, "output_mode": "multi_hot", "mask_token": "",
                          "max_tokens": 9, "pad_to_max_tokens": True}, WORDS),
    Case("StringLookup", {"vocabulary": TABLE, "output_mode": "count"}, WORDS),
    Case("StringLookup", {"vocabulary": TABLE, "output_mode": "tf_idf",
                          "idf_weights": [0.5, 1.0, 2.0]}, WORDS),
    Case("StringLookup", {"output_mode": "tf_idf", "max_tokens": 5, "pad_to_max_tokens": True},
         WORDS, WORDS),
    Case("IntegerLookup", {"vocabulary": [12, 36, 1138, 42]}, [[12, 1138, 42], [42, 1000, 36]]),
    Case("IntegerLookup", {"vocabulary": [12, 36], "num_oov_indices": 3, "mask_token": 0},
         [[12, 1138, 0], [-4, 1000, 36]]),
    Case("IntegerLookup", {"vocabulary": [12, 36], "num_oov_indices": 4, "oov_method": "farmhash"},
         [[12, 1138, 0], [-4, 1000, 36]]),
    Case("IntegerLookup", {"mask_token": 3}, [[5, 3], [7, 6]], [[5, 6], [6, 3], [9, 5]]),
    Case("IntegerLookup", {"vocabulary": [12, 36], "invert": True}, [[1, 2], [0, 7]]),
    Case("IntegerLookup", {"vocabulary": [12, 36], "output_mode": "multi_hot"},
         [[12, 5], [36, 36]]),
    Case("IntegerLookup", {"output_mode": "tf_idf"}, [[12, 5], [36, 36]], [[12, 5], [12, 36]]),
    Case("TextVectorization", {}, TEXTS, TEXTS),
    Case("TextVectorization", {"output_sequence_length": 3, "max_tokens": 6}, TEXTS, TEXTS),
    Case("TextVectorization", {"output_sequence_length": 9, "standardize": "lower"}, TEXTS, TEXTS),
    Case("TextVectorization", {"split": "character", "standardize": "strip_punctuation"}, TEXTS,
         TEXTS),
    Case("TextVectorization", {"ngrams": 2, "standardize": None}, TEXTS, TEXTS),
    Case("TextVectorization", {"ngrams": (3,), "output_mode": "multi_hot"}, TEXTS, TEXTS),
    Case("TextVectorization", {"output_mode": "count", "max_tokens": 5}, TEXTS, TEXTS),
    Case("TextVectorization", {"output_mode": "tf_idf"}, [[t] for t in TEXTS], TEXTS),
    Case("TextVectorization", {"split": None, "vocabulary": TABLE}, WORDS),
]  # fmt: skip


def made(lib: ModuleType, case: Case) -> Any:
    """The layer, adapted."""
    layer = getattr(lib.layers, case.layer)(**case.arguments)
    if case.data is not None:
        layer.adapt(case.data)
    return layer


def record(lib: ModuleType, case: Case) -> Arrays:
    """What the layer gives, and the vocabulary or the boundaries it has."""
    layer = made(lib, case)
    call = {key: np.array(value, np.float32) for key, value in case.call.items()}
    results = {"output": np.asarray(layer(np.array(case.inputs), **call))}
    if case.layer == "Discretization":
        results["boundaries"] = np.asarray(layer.bin_boundaries)
    if hasattr(layer, "get_vocabulary"):
        results["vocabulary"] = np.asarray([str(token) for token in layer.get_vocabulary()])
    return results
