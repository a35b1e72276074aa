"""Functions that build nodes, named and behaving as in `keras.ops`.

Layers, losses, metrics and optimizers are written with these, and so are a user's own. Arguments
are tensors, variables, numbers or NumPy arrays; shapes broadcast and dtypes promote as in NumPy,
except that Python numbers take the tensor's dtype. Every function works on the symbolic tensors
of `layers.Input` too, where it becomes a layer of the model.
"""

from . import operators
from .base import broadcast_to, cast, convert_to_tensor
from .control import scan
from .convolution import (
    average_pool,
    conv,
    conv_transpose,
    depthwise_conv,
    max_pool,
    separable_conv,
)
from .elementwise import (
    abs,
    absolute,
    add,
    clip,
    cos,
    divide,
    equal,
    erf,
    exp,
    expm1,
    floor,
    greater,
    greater_equal,
    isfinite,
    less,
    less_equal,
    log,
    log1p,
    logaddexp,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    power,
    rsqrt,
    sigmoid,
    sign,
    sin,
    sqrt,
    square,
    stop_gradient,
    subtract,
    tanh,
    where,
)
from .linear import matmul, one_hot, take, take_along_axis
from .nn import gelu, log_sigmoid, log_softmax, normalize, relu, softmax, softplus
from .reductions import argmax, logsumexp, max, mean, min, sum, var
from .sequence import ctc_decode, ctc_loss
from .shaping import (
    concatenate,
    expand_dims,
    flip,
    full_like,
    ones_like,
    pad,
    reshape,
    shape,
    slice,
    split,
    squeeze,
    stack,
    transpose,
    zeros_like,
)
