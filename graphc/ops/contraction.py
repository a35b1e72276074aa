"""Contractions named by their axes: einsum, tensordot, dot, outer."""

from __future__ import annotations

import string
from collections.abc import Sequence

from graphc.ir.types import Dim, product
from graphc.trace import Tensor

from .base import TensorLike, convert_to_tensor, recorded
from .elementwise import multiply
from .linear import matmul
from .reductions import sum
from .shaping import reshape, transpose


@recorded
def einsum(subscripts: str, *operands: TensorLike) -> Tensor:
    """Sums of products over the axes whose letters the result lacks, as `keras.ops.einsum`.

    Args:
        subscripts: letters of each operand's axes and the result's, as "bqd,bkd->bqk"; "..." stands
            for any leading axes that are named nowhere. Without "->" the result has the letters
            that occur once, in alphabetic order.
        operands: as many tensors; more than two are taken from left to right.

    Raises:
        ValueError: when the subscripts do not fit the operands, or a letter occurs twice in one.
    """
    tensors = [convert_to_tensor(x) for x in operands]
    names, wanted = _names(subscripts, tensors)
    x, letters = tensors[0], names[0]
    for at in range(1, len(tensors)):
        later = {letter for name in names[at + 1 :] for letter in name} | set(wanted)
        x, letters = _contract((x, letters), (tensors[at], names[at]), later)
    return _arranged(_without(x, letters, set(wanted)), wanted)


Named = tuple[Tensor, str]  # a tensor, and the letters of its axes


def _names(subscripts: str, tensors: Sequence[Tensor]) -> tuple[list[str], str]:
    """The letters of each operand's axes and of the result's, with letters in place of dots."""
    given, arrow, wanted = subscripts.replace(" ", "").partition("->")
    names = given.split(",")
    if len(names) != len(tensors):
        raise ValueError(f"einsum: {subscripts!r} has {len(names)} operands, got {len(tensors)}")
    spare = [c for c in string.ascii_letters if c not in subscripts]
    most = 0
    for at, (name, x) in enumerate(zip(names, tensors, strict=True)):
        count = x.ndim - len(name.replace("...", ""))
        if count < 0 or (count and "..." not in name):
            raise ValueError(f"einsum: {name!r} of {subscripts!r} does not fit {list(x.shape)}")
        # Leading axes are aligned at the last of them.
        names[at] = name.replace("...", "".join(reversed(spare[:count])))
        if len(set(names[at])) < len(names[at]):
            raise ValueError(f"einsum: a letter occurs twice in {name!r} of {subscripts!r}")
        most = max(most, count) if "..." in name else most
    dots = "".join(reversed(spare[:most]))
    if not arrow:
        whole = "".join(names)
        once = sorted(c for c in set(whole) if whole.count(c) == 1 and c not in dots)
        return names, dots + "".join(once)
    wanted = wanted.replace("...", dots)
    if len(set(wanted)) < len(wanted) or not set(wanted) <= set("".join(names)):
        raise ValueError(f"einsum: the result of {subscripts!r} needs letters of operands, once")
    return names, wanted


def _without(x: Tensor, letters: str, kept: set[str]) -> Named:
    """x summed over axes whose letters are not kept."""
    axes = [at for at, letter in enumerate(letters) if letter not in kept]
    return (sum(x, axes), "".join(c for c in letters if c in kept)) if axes else (x, letters)


def _arranged(x: Named, letters: str) -> Tensor:
    """The tensor with its axes in the order of letters."""
    order = [x[1].index(c) for c in letters]
    return x[0] if order == sorted(order) else transpose(x[0], order)


def _contract(a: Named, b: Named, later: set[str]) -> Named:
    """The product of two, summed over the letters of both that are not needed later."""
    a, b = _without(*a, later | set(b[1])), _without(*b, later | set(a[1]))
    sizes: dict[str, Dim] = dict(zip(b[1], b[0].shape, strict=True))
    for letter, dim in zip(a[1], a[0].shape, strict=True):
        if sizes.setdefault(letter, dim) != dim:
            raise ValueError(
                f"einsum: axis {letter!r} has size {dim} in one operand, {sizes[letter]} in another"
            )
    both = [c for c in a[1] if c in b[1]]
    batch = "".join(c for c in both if c in later)
    summed = "".join(c for c in both if c not in later)
    rows = "".join(c for c in a[1] if c not in both)
    columns = "".join(c for c in b[1] if c not in both)

    def size(letters: str) -> Dim:
        return product(sizes[c] for c in letters)

    outer = (size(batch),) if batch else ()
    left = reshape(_arranged(a, batch + rows + summed), (*outer, size(rows), size(summed)))
    right = reshape(_arranged(b, batch + summed + columns), (*outer, size(summed), size(columns)))
    result = batch + rows + columns
    # A sum of one term is a product of elements.
    whole = matmul(left, right) if summed else multiply(left, right)
    return reshape(whole, [sizes[c] for c in result]), result


@recorded
def tensordot(x1: TensorLike, x2: TensorLike, axes: int | Sequence[object] = 2) -> Tensor:
    """Products summed over the last axes of one and the first of the other, or over given pairs.

    Args:
        axes: how many; or the axes of x1 and those of x2.
    """
    a, b = convert_to_tensor(x1), convert_to_tensor(x2)
    if isinstance(axes, int):
        pairs = [(a.ndim - axes + at, at) for at in range(axes)]
    else:
        left, right = ([v] if isinstance(v, int) else list(v) for v in axes)  # type: ignore
        pairs = [(i % a.ndim, j % b.ndim) for i, j in zip(left, right, strict=True)]
    letters = string.ascii_letters
    first = list(letters[: a.ndim])
    second = list(letters[a.ndim : a.ndim + b.ndim])
    for i, j in pairs:
        second[j] = first[i]
    rest = [c for c in first if c not in second] + [c for c in second if c not in first]
    return einsum(f"{''.join(first)},{''.join(second)}->{''.join(rest)}", a, b)


@recorded
def dot(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Products summed over x1's last axis and x2's last but one; scalars multiply."""
    a, b = convert_to_tensor(x1), convert_to_tensor(x2)
    if not a.ndim or not b.ndim:
        return multiply(a, b)
    return tensordot(a, b, (-1, max(b.ndim - 2, 0)))


@recorded
def outer(x1: TensorLike, x2: TensorLike) -> Tensor:
    """(elements of x1, elements of x2): each product of two."""
    return multiply(reshape(x1, (-1, 1)), reshape(x2, (1, -1)))
