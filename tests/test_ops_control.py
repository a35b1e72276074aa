"""graphc.ops.scan against Python's loop."""

from typing import Any

import numpy as np
import pytest
from computing import compute

from graphc import layers, models, ops
from graphc.trace import Trace, Variable

X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(3, 3)).astype(np.float32)


def summed(x: Any) -> Any:
    """Running sums, with a constant from outside, a nested carry and no result of one kind."""
    half = ops.multiply(x, 0.5)
    first = ops.zeros_like(x[0])

    def step(carry: Any, element: Any) -> Any:
        total = carry["total"] + element @ W + half[2]
        return {"total": total, "count": carry["count"] + 1.0}, (total, None)

    last, (totals, _) = ops.scan(step, {"total": first, "count": 0.0}, x)
    return ops.concatenate([totals, last["total"][None] / last["count"]], axis=0)


def test_scan() -> None:
    results = compute(
        {
            "sums": summed,
            "backwards": lambda x: ops.scan(lambda c, e: (c + e, c), x[0], x, reverse=True)[1],
            "length": lambda x: ops.scan(lambda c, _: (c * 2.0, None), x, length=3)[0],
            "nested": lambda x: ops.scan(
                lambda c, row: (ops.scan(lambda d, e: (d + e * c, None), 0.0, row)[0], None), 1.0, x
            )[0],
        },
        X,
    )
    steps = X @ W + 0.5 * X[2]
    totals = np.cumsum(steps, axis=0)
    np.testing.assert_allclose(results["sums"], [*totals, totals[-1] / 5], 1e-5, 1e-6)
    behind = X[0] + np.cumsum(np.vstack([np.zeros((1, 3)), X[:0:-1]]), axis=0)[::-1]
    np.testing.assert_allclose(results["backwards"], behind, 1e-5, 1e-6)
    np.testing.assert_array_equal(results["length"], 8 * X)
    np.testing.assert_allclose(results["nested"], np.prod(X.sum(axis=1)), 1e-4)


def test_scan_in_a_model() -> None:
    x = layers.Input((4, 3))
    turned = ops.transpose(x, (1, 0, 2))
    last, every = ops.scan(lambda c, e: (ops.tanh(c + e), c), turned[0], turned)
    model = models.Model(x, [last, ops.transpose(every, (1, 0, 2))])
    rows = np.stack([X[:4], X[1:]])
    carry, found = rows[:, 0], model.predict(rows, verbose=0)
    for at in range(4):
        np.testing.assert_allclose(found[1][:, at], carry, 1e-5)
        carry = np.tanh(carry + rows[:, at])
    np.testing.assert_allclose(found[0], carry, 1e-5)


def test_errors() -> None:
    variable = Variable(0.0, "counter")
    with Trace("test") as trace:
        x = ops.convert_to_tensor(X)
        with pytest.raises(ValueError, match=r"one number of steps, got \{.*5"):
            ops.scan(lambda c, e: (c, e), 0.0, x, length=4)
        with pytest.raises(ValueError, match=r"carry 0 has shape \[\], its new value \[3\]"):
            ops.scan(lambda c, e: (c + e, None), 0.0, x)
        with pytest.raises(ValueError, match="'counter': assigned in a loop's body"):
            ops.scan(lambda c, e: (trace.assign(variable, c), e), 0.0, x)  # type: ignore[func-returns-value]
