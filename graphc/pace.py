"""How many threads steps run on: as many as were fastest lately.

Work is shared out evenly beforehand, so a step takes as long as its slowest thread. On cores that
others use too, threads wait for those that are not running, and fewer threads may be faster; the
same holds for programs whose kernels are tiny. Results do not depend on the number.
"""

from __future__ import annotations

# Of the time, what trying another number of threads may cost.
SHARE = 0.04
# A try is at least this long, in seconds, if there are enough steps: starting threads takes time.
TRY_SECONDS = 0.002
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
        self.direction = 1  # of the next try
        self.seconds: dict[int, float] = {}  # a step's, by place
        self.budget = 0.0  # seconds that tries may cost
        self.calls = 0

    def part(self, steps: int) -> tuple[int, int]:
        """(threads, steps) to run next, of so many steps; `note` is told how long that took."""
        self.trying = None
        place = self.at + self.direction
        if not 0 <= place < len(self.counts):
            self.direction = -self.direction
            place = self.at + self.direction
        now = self.seconds.get(self.at)
        if now is None or not 0 <= place < len(self.counts):
            return self.counts[self.at], steps
        # At worst half the threads take twice as long; the first try is free.
        guess = self.seconds.get(place, 2 * now)
        count = min(steps, max(1, int(TRY_SECONDS / guess)))
        if place in self.seconds and count * guess > self.budget:
            return self.counts[self.at], steps
        self.trying = place
        return self.counts[place], count

    def note(self, steps: int, seconds: float) -> None:
        """The part that `part` gave last took so long."""
        self.calls += 1
        each = seconds / steps
        if self.trying is None:
            # The first steps touch memory for the first time.
            weight = 1.0 if self.calls <= 2 else min(1.0, seconds / MEMORY)
            before = self.seconds.get(self.at, each)
            self.budget += SHARE * seconds
            if self.calls > 1:
                self.seconds[self.at] = before + weight * (each - before)
            return
        self.seconds[self.trying] = each
        self.direction = -self.direction
        self.budget = min(0.0, self.budget - seconds)
        if each < BETTER * self.seconds[self.at]:
            self.at = self.trying
