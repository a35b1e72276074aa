"""What `compile(memory=...)` takes, and the choice among plans that a number of bytes makes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from operator import index

from . import config
from .codegen.interface import Program
from .compiler import PLANS, Training, plan
from .ir.types import BATCH
from .trace import Trace

# Those that have a name; the last one is for who knows how much there is.
NAMED = ("fast", "small")


def wanted(memory: object) -> str | Budget:
    """The argument of `compile`.

    Raises:
        ValueError: for anything but "fast", "small" or a positive number of bytes.
    """
    if isinstance(memory, str) and memory in NAMED:
        return memory
    try:
        count = 0 if isinstance(memory, bool) else index(memory)  # type: ignore[arg-type]
    except TypeError:
        count = 0
    if count > 0:
        return Budget(count)
    raise ValueError(
        "compile: memory must be 'fast', 'small' or the most bytes that a training step may take "
        f"beside weights and data, such as 64 << 20; got {memory!r}"
    )


@dataclass
class Budget:
    """Chooses the fastest plan that takes no more than so many bytes.

    Attributes:
        limit: bytes beside weights and data, for values and for what threads need.
    """

    limit: int
    _planned: dict[tuple[Hashable, str], tuple[Program, int | None]] = field(default_factory=dict)

    def choose(
        self, key: Hashable, traced: Callable[[], tuple[Trace, Training]], sizes: Mapping[str, int]
    ) -> str:
        """One of PLANS for a program.

        Args:
            key: of the program, whose plans are made once.
            traced: what to plan.
            sizes: the symbols' values, rows of a step among them.

        Raises:
            ValueError: when no plan is within the limit.
        """
        found = {}
        for name in PLANS:
            if (key, name) not in self._planned:
                trace, training = traced()
                self._planned[key, name] = plan(trace, training, name), trace.batch_size
            program, fixed = self._planned[key, name]
            rows = fixed or sizes[BATCH]
            found[name] = program.arena_bytes(config.num_threads(), {**sizes, BATCH: rows})
            if found[name] <= self.limit:
                return name
        least = min(found.values())
        raise ValueError(
            f"compile(memory={self.limit}): a training step of {rows} rows takes at least {least} "
            f"bytes on {config.num_threads()} threads; pass a smaller batch_size to fit, or "
            f"compile with memory={least} or more"
        )
