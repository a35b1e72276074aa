"""Hash functions: values that TensorFlow 2.21's hash buckets give, for all lengths of text."""

import numpy as np
import pytest

from graphc.utils.hashing import fingerprint64, siphash64

TEXTS = {
    b"": 0x9AE16A3B2F90404F,
    b"a": 0xB3454265B6DF75E3,
    b"hello": 0xB48BE5A931380CE8,
    b"hash bucket": 0x3BCF03FC10D553B6,
    b"a text of more than sixteen": 0x07BDEAD67D547361,
    b"a text of more than thirty-two bytes": 0x264B845BE2D992C5,
    b"a text that is so long that it takes more than one block of sixty-four bytes, and then some":
        0xE088DA5E2E658927,
}  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_fingerprint(text: bytes) -> None:
    assert fingerprint64(text) == TEXTS[text]


def test_siphash_as_in_its_paper() -> None:
    key = tuple(np.arange(16, dtype=np.uint8).view("<u8").tolist())
    assert siphash64(bytes(range(15)), key) == 0xA129CA6149BE45E5
