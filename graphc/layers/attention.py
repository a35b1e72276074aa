"""Attention layers, as in `keras.layers`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any, ClassVar

from graphc import initializers, ops
from graphc.ops.base import node
from graphc.random import given_seed
from graphc.trace import Tensor, Variable

from .base import Layer
from .configured import as_shapes, shape_of
from .core import Dropout
from .einsum_dense import with_axes


def causal_mask(queries: Any, keys: Any) -> Tensor:
    """(1, queries, keys): whether a key is not behind the query."""
    shape = (1, queries, keys)
    return ops.greater_equal(node("iota", shape=shape, axis=1), node("iota", shape=shape, axis=2))


def all_masks(masks: Sequence[Tensor | None]) -> Tensor | None:
    """What all masks that are given show; None when none is."""
    given = [ops.cast(mask, "bool") for mask in masks if mask is not None]
    return reduce(ops.logical_and, given) if given else None


def masked_softmax(scores: Tensor, shown: Tensor | None, plain: bool) -> Tensor:
    """Each query's weights of the keys that are shown to it.

    As in Keras, a query that sees no key has even weights when plain (no dropout, and scores are
    not returned), else zeros.
    """
    if shown is None:
        return ops.softmax(scores)
    weights = ops.softmax(ops.where(shown, scores, -0.7 * 3.4028235e38 if plain else -1e9))
    return weights if plain else ops.where(shown, weights, 0.0)


class Attention(Layer):
    """softmax(query key^T) value (Luong et al. 2015); called on [query, value] or with key third.

    Args:
        use_scale: whether scores are multiplied by a weight.
        score_mode: "dot", or "concat": the sum of tanh(query + key).
        dropout: fraction of the scores that are dropped in training.
        seed: of the dropout.

    Input: query (batch, queries, size), value and key (batch, keys, size). Result (batch, queries,
    size).
    """

    def __init__(
        self, use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0,
        seed: int | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ValueError(f"Attention: score_mode must be 'dot' or 'concat', got {score_mode!r}")
        self.use_scale = use_scale
        self.score_mode = score_mode
        self.dropout = dropout
        self.seed = given_seed(seed)
        self._dropout = Dropout(dropout, seed=self.seed) if dropout else None
        self.scale: Variable | None = None

    def build(self, input_shape: Any) -> None:
        if not isinstance(input_shape, list) or not 2 <= len(input_shape) <= 3:
            raise ValueError(
                f"expected a list [query, value] or [query, value, key], got shapes {input_shape}"
            )
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return previous_mask[0] if previous_mask else None

    def scores(self, query: Tensor, key: Tensor) -> Tensor:
        """(batch, queries, keys)"""
        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.transpose(key, (0, 2, 1)))
            return scores if self.scale is None else ops.multiply(scores, self.scale)
        total = ops.expand_dims(query, -2) + ops.expand_dims(key, -3)
        total = total if self.scale is None else ops.multiply(total, self.scale)
        return ops.multiply(ops.sum(ops.tanh(total), -1), self.concat_score_weight)

    def call(
        self, inputs: Any, mask: Any = None, training: bool = False,
        return_attention_scores: bool = False, use_causal_mask: bool = False,
    ) -> Any:  # fmt: skip
        query, value = inputs[:2]
        key = inputs[2] if len(inputs) > 2 else value
        of_query, of_value = (mask[0], mask[1]) if mask else (None, None)
        scores = self.scores(query, key)
        shown = None if of_value is None else ops.expand_dims(of_value, -2)
        if use_causal_mask:
            shown = all_masks([shown, causal_mask(query.shape[1], key.shape[1])])
        if shown is not None:
            scores = ops.where(shown, scores, scores - 1e9)
        weights = ops.softmax(scores)
        dropped = self._dropout(weights, training=training) if self._dropout else weights
        result = ops.matmul(dropped, value)
        if of_query is not None:
            result = ops.where(ops.expand_dims(of_query, -1), result, 0.0)
        return [result, weights] if return_attention_scores else result

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "use_scale": self.use_scale,
            "score_mode": self.score_mode,
            "dropout": self.dropout,
            "seed": self.seed,
        }


class AdditiveAttention(Attention):
    """softmax(sum(scale * tanh(query + key))) value (Bahdanau et al. 2015).

    Args:
        use_scale: whether features are weighed; True by default.
        dropout, seed: as in `Attention`.
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.use_scale:
            self._own_weights.clear()
            self.scale = self.add_weight((input_shape[0][-1],), name="scale")

    def scores(self, query: Tensor, key: Tensor) -> Tensor:
        total = ops.tanh(ops.expand_dims(query, -2) + ops.expand_dims(key, -3))
        total = total if self.scale is None else ops.multiply(total, self.scale)
        return ops.sum(total, -1)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["score_mode"]
        return config


class _Projection(Layer):
    """A kernel and a bias of a `MultiHeadAttention`, which computes with them.

    Args:
        owner: the attention.
        inputs: the kernel's axes that are summed over.
    """

    weight_options: ClassVar[dict[str, str]] = {"kernel": "kernel", "bias": "bias"}

    def __init__(self, owner: MultiHeadAttention, name: str, inputs: tuple[int, ...]) -> None:
        super().__init__(name=name, **owner.weight_config())
        self.kernel_initializer = owner.kernel_initializer
        self.bias_initializer = owner.bias_initializer
        self.use_bias = owner.use_bias
        self.inputs = inputs
        self.bias: Variable | None = None

    def build(self, input_shape: Any) -> None:
        """Makes the weights for a kernel of this shape."""
        outputs = tuple(axis for axis in range(3) if axis not in self.inputs)
        initializer = with_axes(self.kernel_initializer, self.inputs, outputs)
        self.kernel = self.add_weight(input_shape, initializer, name="kernel")
        if self.use_bias:
            shape = [input_shape[axis] for axis in outputs]
            self.bias = self.add_weight(shape, self.bias_initializer, name="bias")
        self.built = True


class QueryValueKey(Layer):
    """What layers share that are called on query, value and key: how configs have their shapes."""

    _shapes: dict[str, Any] | None = None

    def keep_shapes(self, query: Tensor, value: Tensor, key: Tensor | None) -> None:
        """Keeps the shapes of the first call, as Keras names them."""
        given = {"query_shape": query, "value_shape": value, "key_shape": key}
        self._shapes = {name: shape_of(x) for name, x in given.items() if x is not None}

    def get_build_config(self) -> dict[str, Any] | None:
        return None if self._shapes is None else {"shapes_dict": self._shapes}


class MultiHeadAttention(QueryValueKey):
    """Several attentions side by side over projections of the inputs (Vaswani et al. 2017).

    Args:
        num_heads: how many.
        key_dim, value_dim: features of a head's queries and keys, and of its values (as the keys').
        dropout: fraction of the attention's weights that are dropped in training.
        use_bias: whether projections have biases.
        output_shape: features of the result; the query's by default.
        attention_axes: only 1, that of the steps.
        kernel_initializer, bias_initializer: Glorot uniform and zeros by default.
        seed: of the dropout.

    Call: (query, value, key=value, query_mask=, value_mask=, key_mask=, attention_mask=,
    return_attention_scores=False, use_causal_mask=False), query (batch, queries, features), value
    and key (batch, keys, features). Result (batch, queries, output_shape).

    Weights: kernels and biases of query, key, value and output, as in Keras: (features, heads,
    key_dim), (heads, key_dim), ..., (heads, value_dim, output), (output,).
    """

    default_training: ClassVar[bool | None] = None
    weight_options: ClassVar[dict[str, str]] = {"kernel": "kernel", "bias": "bias"}
    writes_activity_regularizer = True
    only_defaults: ClassVar[dict[str, Any]] = {"use_gate": False, "sliding_window": None}

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        kernel_initializer: object = "glorot_uniform",
        bias_initializer: object = "zeros",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if attention_axes not in (None, 1, [1], (1,)):
            raise ValueError(f"MultiHeadAttention: attention_axes must be 1, got {attention_axes}")
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.value_dim = value_dim or key_dim
        self.dropout = dropout
        self.use_bias = use_bias
        self.output_size = output_shape if isinstance(output_shape, int) else None
        if output_shape is not None and not isinstance(output_shape, int):
            if len(output_shape) != 1:
                raise ValueError(
                    f"MultiHeadAttention: output_shape must be one size, got {output_shape!r}"
                )
            (self.output_size,) = output_shape
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.seed = given_seed(seed)
        self.supports_masking = True
        self._dropout = Dropout(dropout, seed=self.seed) if dropout else None
        # Layers of their own, as in Keras: weights and files are in their order and by their names.
        self.query_dense = _Projection(self, "query", (0,))
        self.key_dense = _Projection(self, "key", (0,))
        self.value_dense = _Projection(self, "value", (0,))
        self.output_dense = _Projection(self, "attention_output", (0, 1))

    def build_from_config(self, config: dict[str, Any]) -> None:
        shapes = config.get("shapes_dict")
        if shapes:
            query, value = shapes["query_shape"], shapes["value_shape"]
            self._make_weights(query[-1], value[-1], (shapes.get("key_shape") or value)[-1])
            self._shapes = {name: as_shapes(shape) for name, shape in shapes.items()}
            self.built = True

    def _make_weights(self, query: int, value: int, key: int) -> None:
        """Makes the weights for inputs of so many features."""
        heads, output = self.num_heads, self.output_size or query
        self.query_dense.build((query, heads, self.key_dim))
        self.key_dense.build((key, heads, self.key_dim))
        self.value_dense.build((value, heads, self.value_dim))
        self.output_dense.build((heads, self.value_dim, output))

    def _heads(self, projection: _Projection, x: Tensor) -> Tensor:
        """(batch, heads, steps, size of a head)"""
        kernel, bias = projection.kernel, projection.bias
        features, heads, size = kernel.shape
        rows = ops.matmul(x, ops.reshape(kernel, (features, heads * size)))
        if bias is not None:
            rows = ops.add(rows, ops.reshape(bias, (heads * size,)))
        return ops.transpose(ops.reshape(rows, (*x.shape[:-1], heads, size)), (0, 2, 1, 3))

    def call(
        self,
        query: Any,
        value: Any = None,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        if value is None:
            raise ValueError(
                "MultiHeadAttention is called on (query, value) or (query, value, key)"
            )
        if key_mask is None and key is not None:
            key_mask = key.mask
        if self._shapes is None:
            self.keep_shapes(query, value, key)
        key = value if key is None else key
        if not self.query_dense.built:
            self._make_weights(query.shape[-1], value.shape[-1], key.shape[-1])
        rows = query.mask if query_mask is None else query_mask
        columns = [value.mask if value_mask is None else value_mask, key_mask]
        masks = [None if rows is None else ops.expand_dims(rows, -1)]
        masks += [None if m is None else ops.expand_dims(m, -2) for m in columns]
        if use_causal_mask:
            masks.append(causal_mask(query.shape[1], key.shape[1]))
        shown = all_masks([*masks, attention_mask])
        q = self._heads(self.query_dense, query)
        k = self._heads(self.key_dense, key)
        v = self._heads(self.value_dense, value)
        scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) / math.sqrt(self.key_dim)
        if shown is not None and shown.ndim == 3:
            shown = ops.expand_dims(shown, 1)
        plain = self._dropout is None and not return_attention_scores
        weights = masked_softmax(scores, shown, plain)
        dropped = self._dropout(weights, training=training) if self._dropout else weights
        result = self._output(ops.matmul(dropped, v))
        return [result, weights] if return_attention_scores else result

    def _output(self, heads: Tensor) -> Tensor:
        kernel, bias = self.output_dense.kernel, self.output_dense.bias
        batch, count, steps, size = heads.shape
        rows = ops.reshape(ops.transpose(heads, (0, 2, 1, 3)), (batch, steps, count * size))
        result = ops.matmul(rows, ops.reshape(kernel, (count * size, kernel.shape[-1])))
        return result if bias is None else ops.add(result, bias)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return previous_mask

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "output_shape": None if self.output_size is None else [self.output_size],
            "attention_axes": [1] if self.built else None,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "seed": self.seed,
        }
