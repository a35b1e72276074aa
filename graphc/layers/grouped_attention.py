"""Attention whose keys and values are shared by groups of heads."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, ClassVar

from graphc import initializers, ops
from graphc.random import given_seed
from graphc.trace import Tensor

from .attention import QueryValueKey, all_masks, causal_mask, masked_softmax
from .core import Dropout
from .einsum_dense import EinsumDense


class GroupedQueryAttention(QueryValueKey):
    """Multi-head attention with fewer heads of keys and values (Ainslie et al. 2023).

    Args:
        head_dim: features of a head.
        num_query_heads: a multiple of num_key_value_heads.
        num_key_value_heads: each serves as many heads of queries.
        dropout: fraction of the attention's weights that are dropped in training.
        use_bias: whether projections have biases.
        sliding_window: a query sees the keys less than so many steps away; None for all.
        kernel_initializer, bias_initializer: Glorot uniform and zeros by default.
        use_gate: whether results are multiplied by the sigmoid of a projection of the query.
        seed: of the dropout.

    Call, as `MultiHeadAttention`: (query, value, key=value, query_mask=, ...). Result (batch,
    queries, features of the query).
    """

    default_training: ClassVar[bool | None] = None
    weight_options: ClassVar[dict[str, str]] = {"kernel": "kernel", "bias": "bias"}
    writes_activity_regularizer = True

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        kernel_initializer: object = "glorot_uniform",
        bias_initializer: object = "zeros",
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_query_heads % num_key_value_heads:
            raise ValueError(
                f"GroupedQueryAttention: num_query_heads={num_query_heads} must be a multiple of "
                f"num_key_value_heads={num_key_value_heads}"
            )
        if sliding_window is not None and (
            not isinstance(sliding_window, int) or sliding_window < 1
        ):
            raise ValueError(
                "GroupedQueryAttention: sliding_window must be None or a positive int, got "
                f"{sliding_window!r}"
            )
        self.supports_masking = True
        self.head_dim = head_dim
        self.num_query_heads = num_query_heads
        self.num_key_value_heads = num_key_value_heads
        self.dropout = dropout
        self.use_bias = use_bias
        self.sliding_window = sliding_window
        self.use_gate = use_gate
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.seed = given_seed(seed)

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Nothing to do: the projections are built by a call."""

    def build(self, input_shape: Any) -> None:
        project = partial(
            EinsumDense,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            bias_initializer=initializers.serialize(self.bias_initializer),
            **self.weight_config(),
        )
        queries = (None, self.num_query_heads, self.head_dim)
        others = (None, self.num_key_value_heads, self.head_dim)
        bias = "uh" if self.use_bias else None
        heads = partial(project, equation="bqm,muh->bquh", bias_axes=bias)
        self._query_dense = heads(output_shape=queries, name="query")
        self._key_dense = heads(output_shape=others, name="key")
        if self.use_gate:
            self._gate_dense = heads(output_shape=queries, activation="sigmoid", name="gate")
        self._value_dense = heads(output_shape=others, name="value")
        self._dropout_layer = Dropout(self.dropout, seed=self.seed)
        self._output_dense = project(
            equation="bquh,uhm->bqm",
            output_shape=(None, input_shape[-1]),
            bias_axes="m" if self.use_bias else None,
            name="attention_output",
        )

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return previous_mask

    def _shown(self, query: Tensor, value: Tensor, masks: list[Any], causal: bool) -> Any:
        """Which keys each query sees, (batch or 1, queries, keys); None for all."""
        queries, keys = query.shape[1], value.shape[1]
        if causal:
            masks = [*masks, causal_mask(queries, keys)]
        if self.sliding_window is not None:
            window = self.sliding_window
            near = ops.tri(queries, keys, window - 1) - ops.tri(queries, keys, -window)
            masks = [*masks, ops.expand_dims(ops.cast(near, "bool"), 0)]
        return all_masks(masks)

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
                "GroupedQueryAttention is called on (query, value) or (query, value, key)"
            )
        if query.shape[-1] != value.shape[-1]:
            raise ValueError(
                f"query and value must have the same number of features, got {query.shape[-1]} and "
                f"{value.shape[-1]}"
            )
        if key is not None and key_mask is None:
            key_mask = key.mask
        if self._shapes is None:
            self.keep_shapes(query, value, key)
        key = value if key is None else key
        rows = query.mask if query_mask is None else query_mask
        columns = [value.mask if value_mask is None else value_mask, key_mask]
        masks = [None if rows is None else ops.expand_dims(rows, -1)]
        masks += [None if m is None else ops.expand_dims(m, -2) for m in columns]
        shown = self._shown(query, value, [*masks, attention_mask], use_causal_mask)
        repeats = self.num_query_heads // self.num_key_value_heads
        q = self._query_dense(query)
        k, v = (
            ops.repeat(dense(x), repeats, axis=2)
            for dense, x in ((self._key_dense, key), (self._value_dense, value))
        )
        scores = ops.einsum("bquh,bkuh->buqk", q, k) / math.sqrt(self.head_dim)
        if shown is not None:
            shown = ops.expand_dims(shown, 1)
        plain = not self.dropout and not return_attention_scores
        weights = masked_softmax(scores, shown, plain)
        dropped = self._dropout_layer(weights, training=training)
        result = ops.einsum("buqk,bkuh->bquh", dropped, v)
        if self.use_gate:
            result = ops.multiply(result, self._gate_dense(query))
        result = self._output_dense(result)
        return (result, weights) if return_attention_scores else result

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "head_dim": self.head_dim,
            "num_query_heads": self.num_query_heads,
            "num_key_value_heads": self.num_key_value_heads,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "sliding_window": self.sliding_window,
            "use_gate": self.use_gate,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "seed": self.seed,
        }
