"""Where symbolic tensors come from."""

import numpy as np
import pytest

from graphc import layers
from graphc.utils import get_source_inputs, is_keras_tensor


def test_source_inputs() -> None:
    a, b, c = (layers.Input((2,)) for _ in range(3))
    shared = layers.Dense(2)
    end = layers.Concatenate()([shared(b), layers.Add()([shared(a), b]) * 2.0])
    assert list(map(id, get_source_inputs(end))) == [id(b), id(a)]
    assert list(map(id, get_source_inputs(c))) == [id(c)]
    with pytest.raises(ValueError, match="a layer call returned, got ndarray"):
        get_source_inputs(np.zeros(2))


def test_symbolic_tensors() -> None:
    x = layers.Input((2,))
    assert is_keras_tensor(x) and is_keras_tensor(layers.Dense(1)(x))
    assert not any(map(is_keras_tensor, [np.zeros(2), 1.0, None, layers.Dense(1)]))
