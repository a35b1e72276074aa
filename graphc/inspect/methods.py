"""What a model says about itself: the methods that models inherit."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphc import profiling

from . import explain, layer_graph, page, programs, text

if TYPE_CHECKING:
    from graphc.nonfinite import NonFinite
    from graphc.profiling import Profile


class Inspected:
    """The methods of a model that show what the compiler makes of it."""

    def dump(self, stage: str = "memory", program: str = "train", only: str | None = None) -> str:
        """The text of a program at a stage of the compiler.

        Args:
            stage: traced, forward, gradient, update, simplify, recompute, fuse, schedule, memory,
                llvm (as generated), llvm-opt (after LLVM's passes) or asm. Programs that do not
                train have no forward, gradient and update; recompute only those have that
                `compile(memory=...)` gives less memory.
            program: predict, evaluate or train.
            only: the name of a layer, to see its nodes (forward, backward and update) or its
                kernels' functions only.

        Raises:
            ValueError: for an unknown stage, program or layer, or when the model is not compiled
                for the program.
        """
        return text.stage_text(programs.program_of(self, program, "dump"), stage, only)

    def diff(self, before: str, after: str, program: str = "train") -> str:
        """What changed in a program between two stages, as a unified diff.

        Args:
            before, after: stages; see `dump`.
            program: predict, evaluate or train.

        Raises:
            ValueError: as `dump` does.
        """
        return text.diff(programs.program_of(self, program, "diff"), before, after)

    def explain(self, print_fn: Callable[[str], object] | None = None) -> None:
        """Prints what the compiler did with each program that the model has compiled, and why.

        The time of each stage; the kernels with the most work; the largest values that are in
        memory, each with the reason why it was not fused; the planned peak of
        memory, which is what is allocated, and what the plan saves; what is made again rather than
        read; the target. A model that has compiled nothing yet is compiled for training, or for
        prediction if it has no loss.

        Args:
            print_fn: called with the text; print by default.

        Raises:
            ValueError: for a model that needs an input shape or data first.
        """
        (print_fn or print)(explain.explain(self).rstrip())

    def explore(
        self, path: str | os.PathLike[str] = "page.html", profile: Mapping[str, Any] | None = None
    ) -> None:
        """Writes a page of every stage of the programs that the model has compiled.

        One HTML file that needs nothing else: the graph of layers, a column for each stage in
        which what is selected lights up from layer to assembly, what each pass changed, the memory
        plan, the kernels. A model that has compiled nothing yet is compiled for training, or for
        prediction if it has no loss.

        Args:
            path: of the file to write.
            profile: what kernels of the training program were measured to take: by kernel name, a
                dict of seconds, flops and bytes.

        Raises:
            ValueError: for a model that needs an input shape or data first.
        """
        Path(path).write_text(page.page(self, profile), encoding="utf-8")

    def profile(
        self,
        x: object,
        y: object = None,
        batch_size: int = 32,
        steps: int | None = None,
        program: str = "train",
    ) -> Profile:
        """Where a step's time goes: each kernel of a program, measured by the program itself.

        The program is compiled again with a clock behind each kernel, and runs on copies of the
        weights: the model stays as it is. The first step is not counted.

        Args:
            x, y: arrays as in `fit`, of several batches; `y` is not needed to predict.
            batch_size: rows a step.
            steps: how many to measure, starting over where the data ends; a second of them by
                default. The fastest run through the data counts.
            program: train, evaluate or predict.

        Returns:
            Rows of time, flops, bytes and share of the machine's peak, the slowest kernel first.
            `print(model.profile(x, y))` shows them as a table.

        Raises:
            ValueError: when data and model do not fit, or for an unknown program.
        """
        return profiling.profile(self, x, y, batch_size, steps, program)

    def _repr_html_(self) -> str:
        """What notebooks show: the graph of layers, and the summary to be opened."""
        return layer_graph.notebook(self)

    def find_nonfinite(self, x: object, y: object) -> NonFinite | None:
        """The first value of a training step on this batch that is infinite or NaN.

        Runs the reference interpreter on the graph before fusion; nothing is trained.

        Returns:
            Its node, op, layer and phase (data, forward, backward or update); None if all are
            finite.
        """
        return programs.find_nonfinite(self, x, y)
