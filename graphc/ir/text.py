"""The text form of graphs: `to_text` prints one, `parse` reads it back to an equal graph.

One line a node, operands before users:

    graph predict {
      %x = input() {role="data"} : f32[batch, 4]
      %w = input() {role="state"} : f32[4, 3]
      %z = matmul(%x, %w) {transpose_a=false, transpose_b=false} : f32[batch, 3]  @dense:forward
      return y=%z
    }

A body graph is an attribute printed in braces of its own. Names that are not plain words are
quoted: %"my layer/kernel". `//` starts a comment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import numpy as np

from . import picture
from .graph import Attributes, Graph, GraphError, Node, Scope
from .ops import ANNOTATIONS, OPS
from .types import DTYPES, Dim, NodeType, Size, TensorType, short_dtype


def to_text(graph: Graph, indent: str = "") -> str:
    """The complete text form of a graph; parses back to an equal one."""
    lines = [f"graph {_key(graph.name)} {{"]
    lines += [f"{indent}  {node_text(graph, node, indent + '  ')}" for node in graph.nodes()]
    results = ", ".join(f"{_key(name)}={_reference(node)}" for name, node in graph.outputs.items())
    lines += [f"{indent}  return {results}".rstrip(), indent + "}"]
    return "\n".join(lines) + ("" if indent else "\n")


def _key(name: str) -> str:
    """A name as the parser reads it back: quoted unless it is one token by itself."""
    match = _TOKEN.fullmatch(name)
    return name if match and match.lastgroup == "name" else json.dumps(name)


def _reference(node: Node) -> str:
    plain = re.fullmatch(r"[\w./-]+", node.name)
    return f"%{node.name}" if plain else f"%{json.dumps(node.name)}"


def node_text(graph: Graph, node: Node, indent: str = "") -> str:
    """A node's line in the text form; several lines, indented, where it has a body."""
    operands = ", ".join(map(_reference, graph.operands(node)))
    attrs = ", ".join(f"{key}={_value(v, indent)}" for key, v in node.attrs.items())
    line = f"{_reference(node)} = {node.op}({operands}){f' {{{attrs}}}' if attrs else ''}"
    line += f" : {_type(node.type)}"
    if node.scope.layer or node.scope.phase != "forward":
        layer = _key(node.scope.layer) if node.scope.layer else ""
        line += f"  @{layer}:{node.scope.phase}"
    if node.scope.where:
        line += f"  {json.dumps(node.scope.where)}"
    return line


def _type(type_: NodeType) -> str:
    return str(type_) if isinstance(type_, TensorType) else f"({', '.join(map(str, type_))})"


def _value(value: object, indent: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if value in DTYPES else json.dumps(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, np.ndarray):
        parts = [str(TensorType(short_dtype(value.dtype), value.shape))]
        parts += [_value(v, indent) for v in value.ravel().tolist()]
        return f"array({', '.join(parts)})"
    if isinstance(value, Graph):
        return to_text(value, indent)
    return str(value)  # int, float (repr round-trips), Size


# More nodes than anybody looks at in a notebook are shown as text only.
PICTURED = 150


def to_html(graph: Graph) -> str:
    """A graph as a notebook shows it: a picture of its nodes, and its text to be opened."""
    nodes = {node: at for at, node in enumerate(graph.nodes())}
    title = f"graph {graph.name}: {len(graph)} nodes"
    if len(nodes) > PICTURED:
        return picture.page(title, "", to_text(graph))
    boxes = {at: (node.op, f"%{node.name} {_type(node.type)}") for node, at in nodes.items()}
    edges = [(nodes[a], nodes[b]) for b in nodes for a in dict.fromkeys(graph.operands(b))]
    return picture.page(title, picture.svg(boxes, edges), to_text(graph))


_BLANK = re.compile(r"(?:\s|//[^\n]*)*")
_TOKEN = re.compile(
    r"""
    (?P<string>"(?:[^"\\]|\\.)*")
  | (?P<number>-?(?:(?:inf|nan)(?![\w./-])|\d+\.\d*(?:e[+-]?\d+)?|\d+(?:e[+-]?\d+)?))
  | (?P<value>%(?:[\w./-]+|"(?:[^"\\]|\\.)*"))
  | (?P<name>[A-Za-z_][\w./-]*)
  | (?P<mark>[{}()\[\]=,:@*])
""",
    re.VERBOSE,
)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = list(self._tokenise(text))
        self.at = 0

    def _tokenise(self, text: str) -> Iterator[tuple[str, str, int]]:
        at = 0
        while (at := _skip_blanks(text, at)) < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self.error(f"unexpected character {text[at]!r}", at)
            yield match.lastgroup or "", match[0], at
            at = match.end()

    def error(self, message: str, at: int | None = None) -> GraphError:
        if at is None:
            at = self.tokens[min(self.at, len(self.tokens) - 1)][2] if self.tokens else 0
        line = self.text.count("\n", 0, at) + 1
        shown = self.text.split("\n")[line - 1].strip()
        return GraphError(f"line {line}: {message}\n    {shown}")

    def peek(self, *marks: str) -> bool:
        return self.at < len(self.tokens) and self.tokens[self.at][1] in marks

    def accept(self, mark: str) -> bool:
        if self.peek(mark):
            self.at += 1
            return True
        return False

    def expect(self, mark: str) -> None:
        if not self.accept(mark):
            got = self.tokens[self.at][1] if self.at < len(self.tokens) else "the end"
            raise self.error(f"expected {mark!r}, got {got!r}")

    def take(self, kind: str, what: str) -> str:
        if self.at >= len(self.tokens) or self.tokens[self.at][0] != kind:
            got = self.tokens[self.at][1] if self.at < len(self.tokens) else "the end"
            raise self.error(f"expected {what}, got {got!r}")
        self.at += 1
        return self.tokens[self.at - 1][1]

    def refuse(self, message: str) -> GraphError:
        """The error of a token just taken."""
        self.at -= 1
        return self.error(message)

    def string(self, what: str) -> str:
        return self.unquoted(self.take("string", what))

    def unquoted(self, text: str) -> str:
        try:
            return str(json.loads(text, strict=False))
        except json.JSONDecodeError as error:
            raise self.refuse(f"not a string: {error.msg}") from None

    def name(self, what: str) -> str:
        """A name, quoted or not."""
        quoted = self.at < len(self.tokens) and self.tokens[self.at][0] == "string"
        return self.string(what) if quoted else self.take("name", what)

    def reference(self, what: str) -> str:
        """A node's name."""
        name = self.take("value", what)[1:]
        return self.unquoted(name) if name.startswith('"') else name

    def integer(self) -> int:
        number = self.take("number", "an integer")
        if not re.fullmatch(r"-?\d+", number):
            raise self.refuse(f"expected an integer, got {number!r}")
        return int(number)

    def graph(self) -> Graph:
        self.expect("graph")
        graph = Graph(self.name("the graph's name"))
        self.expect("{")
        while not self.peek("return"):
            self.node(graph)
        self.expect("return")
        while not self.peek("}"):
            name = self.name("an output's name")
            if name in graph.outputs:
                raise self.refuse(f"output {name!r} is given twice")
            self.expect("=")
            graph.outputs[name] = self.operand(graph)
            if not self.accept(","):
                break
        self.expect("}")
        return graph

    def operand(self, graph: Graph) -> Node:
        name = self.reference("a value such as %x")
        if name not in graph:
            raise self.refuse(f"%{name} is read before it is defined")
        return graph[name]

    def node(self, graph: Graph) -> None:
        start = self.at
        name = self.reference("a node such as %x, or return")
        self.expect("=")
        op = self.take("name", "an op")
        if op not in OPS:
            raise self.refuse(f"unknown op {op!r}")
        self.expect("(")
        operands = []
        while not self.accept(")"):
            operands.append(self.operand(graph))
            if not self.peek(")"):
                self.expect(",")
        attrs: Attributes = {}
        if self.accept("{"):
            while not self.accept("}"):
                key = self.take("name", "an attribute's name")
                if key in attrs:
                    raise self.refuse(f"attribute {key!r} is given twice")
                self.expect("=")
                attrs[key] = self.value(op, key)
                if not self.peek("}"):
                    self.expect(",")
        self.expect(":")
        type_ = self.type()
        scope = Scope()
        if self.accept("@"):
            layer = self.name("a layer") if not self.peek(":") else ""
            self.expect(":")
            scope = Scope(layer, self.take("name", "a phase"))
        if self.at < len(self.tokens) and self.tokens[self.at][0] == "string":
            scope = Scope(scope.layer, scope.phase, self.string("a place"))
        try:
            graph.add(op, operands, attrs, type=type_, scope=scope, name=name)
        except GraphError as error:
            self.at = start
            raise self.error(str(error)) from None

    def value(self, op: str, key: str) -> object:
        kind = OPS[op].attributes.get(key) or ANNOTATIONS.get(key)
        if kind is None:
            self.at -= 1
            raise self.refuse(f"{op} has no attribute {key!r}")
        if kind == "str":
            return self.string("a string")
        if kind == "bool":
            return self.boolean()
        if kind == "dtype":
            return self.dtype()
        if kind == "dim":
            return self.dim()
        if kind in ("shape", "ints"):
            return self.dims()
        if kind == "graph":
            return self.graph()
        if kind == "int":
            return self.integer()
        return self.scalar()

    def scalar(self) -> object:
        if self.peek("true", "false"):
            return self.boolean()
        if not self.accept("array"):
            number = self.take("number", "a number")
            return int(number) if re.fullmatch(r"-?\d+", number) else float(number)
        start = self.at
        self.expect("(")
        type_ = TensorType(self.dtype(), self.dims())
        numbers = []
        while self.accept(","):
            numbers.append(self.scalar())
        self.expect(")")
        try:
            return _array(type_, numbers)
        except GraphError as error:
            self.at = start
            raise self.error(str(error)) from None

    def boolean(self) -> bool:
        if not self.peek("true", "false"):
            raise self.error("expected true or false")
        return self.take("name", "true or false") == "true"

    def dtype(self) -> str:
        name = self.take("name", "a dtype")
        if name not in DTYPES:
            raise self.refuse(f"unknown dtype {name!r}; expected one of {', '.join(DTYPES)}")
        return name

    def dim(self) -> Dim:
        factor, symbols = 1, []
        while True:
            if self.tokens[self.at][0] == "number":
                factor *= self.integer()
            else:
                symbols.append(self.take("name", "a dimension: an int or a symbol"))
            if not self.accept("*"):
                return Size(tuple(sorted(symbols)), factor) if symbols else factor

    def dims(self) -> tuple[Dim, ...]:
        self.expect("[")
        dims = []
        while not self.accept("]"):
            dims.append(self.dim())
            if not self.peek("]"):
                self.expect(",")
        return tuple(dims)

    def type(self) -> NodeType:
        if self.accept("("):
            types = []
            while not self.accept(")"):
                types.append(TensorType(self.dtype(), self.dims()))
                if not self.peek(")"):
                    self.expect(",")
            return tuple(types)
        return TensorType(self.dtype(), self.dims())


def _skip_blanks(text: str, at: int) -> int:
    blanks = _BLANK.match(text, at)
    return blanks.end() if blanks else at


def _array(type_: TensorType, numbers: list[object]) -> np.ndarray:
    shape = type_.shape
    if any(isinstance(dim, Size) for dim in shape):
        raise GraphError(f"an array's shape must be of ints; got {type_}")
    if len(numbers) != type_.elements:
        raise GraphError(f"array of {type_} with {len(numbers)} numbers")
    try:
        return np.array(numbers, DTYPES[type_.dtype]).reshape(shape)  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        raise GraphError(f"numbers of the array do not fit {type_.dtype}") from None


def parse(text: str) -> Graph:
    """Reads a graph in text form.

    Raises:
        GraphError: for text that is not of the form, with the line and what was expected.
    """
    parser = _Parser(text)
    try:
        graph = parser.graph()
    except IndexError:
        raise parser.error("the text ends within a graph") from None
    if parser.at < len(parser.tokens):
        raise parser.error(f"unexpected {parser.tokens[parser.at][1]!r} after the graph")
    return graph
