"""What this machine can do at most: multiply-adds a second, bytes copied a second.

    python benchmarks/peak.py

Both are measured with code made for the same target as graphc's programs (GRAPHC_TARGET), on one
thread and on all. A copy of n bytes counts as 2n: they are read and written.
"""

import platform

from graphc import config
from graphc.codegen.peak import copy_bandwidth, peak_flops
from graphc.codegen.target import current

COPIES = {"64 kB a thread": 1 << 16, "1 MB a thread": 1 << 20, "128 MB a thread": 1 << 27}


def main() -> None:
    """Print a table."""
    target = current()
    print(f"{platform.machine()}, {target.name}, {config.num_threads()} threads")
    row = "{:24}{:>14}".format
    for threads in sorted({1, config.num_threads()}):
        print(f"\n{threads} thread{'s' if threads > 1 else ''}")
        print(row("multiply-adds, float32", f"{peak_flops(target, threads) / 1e9:.1f} GFLOP/s"))
        for name, size in COPIES.items():
            rate = copy_bandwidth(target, threads, threads * size) / 1e9
            print(row(f"copy, {name}", f"{rate:.1f} GB/s"))


if __name__ == "__main__":
    main()
