"""Why fusion leaves a value in memory, in words: what `fuse` writes into the annotation `kept`."""

from __future__ import annotations

from graphc.ir.graph import Node
from graphc.ir.ops import CONTRACTIONS, OPS, REDUCTIONS

from .legalize import LOADS


def later(reader: Node) -> str:
    """A value that is made with some of its readers, and read by others."""
    return f"{_named(reader)} is in a later kernel"


def _named(node: Node) -> str:
    """A reader in a reason: its op, layer and phase."""
    layer = f" of {node.scope.layer}" if node.scope.layer else ""
    return f"{node.op}{layer} ({node.scope.phase})"


def apart(reader: Node) -> str:
    """A value of the forward pass that is read in the backward pass, where these are apart."""
    return f"{_named(reader)} comes after the forward pass"


def misfit(node: Node, reader: Node, how: str) -> str:
    """Why a reader cannot take a node's value from a register."""
    if reader.op == "scan":
        return f"{_named(reader)} reads it step by step"
    if how == "other" and reader.op in CONTRACTIONS:
        return f"{_named(reader)} reads each element many times"
    if how == "other" and reader.op in LOADS:
        return f"{_named(reader)} reads it at other places"
    if how == "other":
        return f"{_named(reader)} reads it repeated, or in another shape"
    if how == "row":
        return f"{_named(reader)} reads it row by row, over other rows than its kernel's"
    if OPS[node.op].elementwise or node.op in LOADS:
        return f"{_named(reader)} reduces it, over another shape than its kernel's"
    return f"{_named(reader)} reduces what it reads, and takes elementwise work only"


def no_place(node: Node, reader: Node, kind: str) -> str:
    """Why the reader's kernel, of this kind, cannot compute a node."""
    if node.op == "scatter_add":
        return "scatter_add is a kernel by itself"
    if node.op in CONTRACTIONS and kind in ("rows", "columns"):
        return f"{_named(reader)} is in a kernel of whole {kind}, and a tile holds parts of them"
    if node.op in CONTRACTIONS and kind == "contraction":
        return f"{_named(reader)} is on another product's tile"
    if node.op in REDUCTIONS:
        return f"the kernel of {_named(reader)} reduces nothing, or along other axes"
    return f"the kernel of {_named(reader)} runs over another shape"
