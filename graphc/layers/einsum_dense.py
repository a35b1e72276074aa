"""A dense layer over axes that an equation names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from graphc import activations, initializers, ops
from graphc.trace import Tensor, Variable

from .base import Layer


class EinsumDense(Layer):
    """activation(einsum(equation, inputs, kernel) + bias).

    Args:
        equation: "ab,bc->ac", with leading ("...ab,bc->...ac") or last axes left open; the first
            axis is the batch.
        output_shape: of the result without the batch and open axes; None where a size is the
            input's.
        activation: name or function; linear by default.
        bias_axes: letters of the result's axes that have biases of their own; None for no bias.
        kernel_initializer, bias_initializer: Glorot uniform and zeros by default.

    Weights: kernel, of the axes of the equation's second part; bias.
    """

    weight_options: ClassVar[dict[str, str]] = {"kernel": "kernel", "bias": "bias"}
    writes_activity_regularizer = True
    only_defaults: ClassVar[dict[str, Any]] = {"quantization_config": None}

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: object = None,
        bias_axes: str | None = None,
        kernel_initializer: object = "glorot_uniform",
        bias_initializer: object = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.equation = equation
        self.partial_output_shape = (
            (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        )
        self.activation = activations.get(activation)
        self.bias_axes = bias_axes
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.bias: Variable | None = None

    def _parts(self) -> tuple[str, str, str]:
        """The letters of input, kernel and result, each with its dots."""
        operands, arrow, result = self.equation.replace(" ", "").partition("->")
        given, comma, kernel = operands.partition(",")
        if not (arrow and comma) or "." in kernel or ("..." in given) != ("..." in result):
            raise ValueError(
                f"equation must be as 'ab,bc->ac', '...ab,bc->...ac' or 'ab...,bc->ac...', got "
                f"{self.equation!r}"
            )
        return given, kernel, result

    def build(self, input_shape: Any) -> None:
        given, kernel, result = self._parts()
        letters = given.replace("...", "")
        count = len(input_shape) - len(letters)
        if count < 0 or (count and "..." not in given):
            raise ValueError(f"{self.equation!r} does not fit an input of shape {input_shape}")
        leading = given.startswith("...")
        open_axes = list(input_shape[:count] if leading else input_shape[len(letters) :])
        named = list(input_shape[count:] if leading else input_shape[: len(letters)])
        # The batch is the first open axis or, where none is, the first named one.
        rest = [*self.partial_output_shape]
        whole = rest if leading and count else [input_shape[0], *rest]
        names = result.replace("...", "")
        if len(whole) != len(names):
            raise ValueError(
                f"output_shape {self.partial_output_shape} does not fit {self.equation!r}: the "
                f"result has axes {names!r} beside open ones"
            )
        sizes = dict(zip(letters, named, strict=True))
        for letter, size in zip(names, whole, strict=True):
            known = sizes.get(letter)
            if letter in sizes and size not in (None, known):
                raise ValueError(
                    f"axis {letter!r} of {self.equation!r} has size {known} in the input, {size} "
                    "in output_shape"
                )
            sizes[letter] = known if size is None else size
        self._make_weights(kernel, names, sizes, [] if leading else [1] * len(open_axes))

    def _make_weights(
        self, kernel: str, names: str, sizes: dict[str, Any], behind: list[int]
    ) -> None:
        unknown = [c for c in kernel if sizes.get(c) is None]
        missing = [c for c in self.bias_axes or "" if c not in names]
        if unknown or missing:
            raise ValueError(
                f"sizes of the kernel's axes {unknown} are not known"
                if unknown
                else f"bias_axes {missing} are not among the result's axes {names!r}"
            )
        inputs = [at for at, c in enumerate(kernel) if c not in names]
        outputs = [at for at, c in enumerate(kernel) if c in names]
        self.kernel = self.add_weight(
            [sizes[c] for c in kernel],
            with_axes(self.kernel_initializer, inputs, outputs),
            name="kernel",
        )
        if self.bias_axes:
            last = names[min(map(names.index, self.bias_axes)) :]
            shape = [sizes[c] if c in self.bias_axes else 1 for c in last]
            self.bias = self.add_weight([*shape, *behind], self.bias_initializer, name="bias")

    def call(self, inputs: Any) -> Tensor:
        result = ops.einsum(self.equation, inputs, self.kernel)
        return self.activation(result if self.bias is None else ops.add(result, self.bias))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "equation": self.equation,
            "output_shape": self.partial_output_shape,
            "activation": activations.serialize(self.activation),
            "bias_axes": self.bias_axes,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
        }


def with_axes(initializer: Any, inputs: Sequence[int], outputs: Sequence[int]) -> Any:
    """The initializer, told which axes of the weight count as inputs and as outputs."""
    if not isinstance(initializer, initializers.VarianceScaling) or initializer.input_axes:
        return initializer
    config = {**initializer.get_config(), "input_axes": inputs, "output_axes": outputs}
    # The seed that was drawn, so that the values are the initializer's own.
    return type(initializer).from_config({**config, "seed": initializer.seed})
