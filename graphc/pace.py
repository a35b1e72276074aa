"""How many threads steps run on: as many as were fastest lately.

Work is shared out evenly beforehand, so a step takes as long as its slowest thread. On cores that
others use too, threads wait for those that are not running, and fewer threads may be faster; the
same holds for programs whose kernels are tiny. Results do not depend on the number.
"""

from __future__ import annotations

import math

# Of the time, what trying another number of threads may take; more threads, which are faster as a
# rule, may take twice as much.
SHARE = 0.04
# Seconds that a number of threads runs for, over several calls if need be, before it is judged: the
# first steps of a call start threads and find caches cold.
TRY_SECONDS = 0.005
# Another number is taken only if a step takes less than this share of the time.
BETTER = 0.9
# Seconds over which the present number's pace is averaged.
MEMORY = 0.1


class Pace:
    """The choice for one program and batch size: all threads at first, then what is fastest, each
    try being of the next higher or lower of: all threads, half of them, a quarter, ... one.

    Args:
        most: all threads.
    """

    def __init__(self, most: int) -> None:
        self.counts = [most]
        while self.counts[-1] > 1:
            self.counts.append(self.counts[-1] // 2)
        self.at = 0  # the present number's place in `counts`
        self.trying: int | None = None  # the place of the one that is tried
        self.tried = (0, 0.0)  # steps and seconds of the try so far
        self.direction = 1  # of the next try
        self.seconds: dict[int, float] = {}  # a step's, by place, where it is known
        self.budget = 0.0  # seconds that tries may cost
        self.warm = False  # whether steps were run: the first one touches memory for the first time
        self.doubted = False  # whether what was left for another number is tried again
        self.free = False  # whether the present try costs nothing

    def part(self, steps: int) -> tuple[int, int]:
        """(threads, steps) to run next, of so many steps; `note` is told how long that took."""
        if self.trying is None:
            self._begin()
        if self.trying is None:
            return self.counts[self.at], steps
        missing = (TRY_SECONDS - self.tried[1]) / self._guess(self.trying)
        return self.counts[self.trying], min(steps, max(1, math.ceil(missing)))

    def note(self, steps: int, seconds: float) -> None:
        """The part that `part` gave last took so long."""
        if not self.warm:
            self.warm = True
            return
        done, spent = self.tried
        self.tried = done, spent = done + steps, spent + seconds
        if self.trying is None:
            self.budget += SHARE * seconds
            if spent < TRY_SECONDS:
                return
            known = self.seconds.setdefault(self.at, spent / done)
            self.seconds[self.at] = known + min(1.0, spent / MEMORY) * (spent / done - known)
        else:
            if not self.free:
                self.budget = min(0.0, self.budget - self._price(self.trying, seconds))
            if spent < TRY_SECONDS:
                return
            self.seconds[self.trying] = spent / done
            better = spent / done < BETTER * self.seconds[self.at]
            # What seemed slow may have been held up once: it has another chance before it is left.
            self.doubted = better and not self.doubted
            if better:
                self.at = self.trying
            self.trying = None
            self.direction = -self.direction
        self.tried = (0, 0.0)

    def _begin(self) -> None:
        """Begins a try, if there is another number and the budget allows it. Free are the first,
        and that of the number left by a change."""
        if not 0 <= self.at + self.direction < len(self.counts):
            self.direction = -self.direction
        place = self.at + self.direction
        if self.at not in self.seconds or not 0 <= place < len(self.counts):
            return
        self.free = self.doubted or place not in self.seconds
        if self.free or self._price(place, max(TRY_SECONDS, self._guess(place))) <= self.budget:
            self.trying, self.tried = place, (0, 0.0)

    def _price(self, place: int, seconds: float) -> float:
        """What a try of so many seconds costs."""
        return seconds / 2 if place < self.at else seconds

    def _guess(self, place: int) -> float:
        """About what a step takes: at worst half the threads take twice as long."""
        return self.seconds.get(place, 2 * self.seconds[self.at])
