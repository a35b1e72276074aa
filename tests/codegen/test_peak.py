"""The machine's limits, measured: plausible, and more threads are not slower."""

import pytest

from graphc.codegen.peak import copy_bandwidth, peak_flops
from graphc.codegen.target import current, known_targets


def test_peak_is_that_of_a_cpu() -> None:
    one = peak_flops(current(), 1)
    assert 1e9 < one < 1e12
    assert 1e8 < copy_bandwidth(current(), 1, 1 << 20) < 1e12


def test_wider_vectors_do_more() -> None:
    if current().name not in ("avx2", "avx512"):
        pytest.skip("one width of vectors")
    assert peak_flops(current(), 1) > 1.5 * peak_flops(known_targets()["sse2"], 1)
