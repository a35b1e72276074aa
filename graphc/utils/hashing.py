"""Hash functions whose values are the same everywhere: FarmHash's and SipHash."""

from __future__ import annotations

_MASK = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def _turned(x: int, by: int) -> int:
    """64 bits turned to the right."""
    x &= _MASK
    return (x >> by | x << (64 - by)) & _MASK


def _mixed(x: int) -> int:
    x &= _MASK
    return x ^ x >> 47


def _joined(u: int, v: int, factor: int) -> int:
    """Two words as one (Murmur's mix)."""
    a = _mixed(((u ^ v) & _MASK) * factor)
    return _mixed((v & _MASK ^ a) * factor) * factor & _MASK


def fingerprint64(text: bytes) -> int:
    """FarmHash's Fingerprint64 (Pike and Alakuijala 2014), which TensorFlow's hash buckets use."""

    def word(at: int, size: int = 8) -> int:
        return int.from_bytes(text[at : at + size], "little")

    length = len(text)
    factor = _K2 + 2 * length
    if length > 64:
        return _of_long(text)
    if length > 32:
        return _of_64(word, length, factor)
    if length > 16:
        a, b = word(0) * _K1, word(8)
        c, d = word(length - 8) * factor, word(length - 16) * _K2
        first = _turned(a + b, 43) + _turned(c, 30) + d
        return _joined(first, a + _turned(b + _K2, 18) + c, factor)
    if length >= 8:
        a, b = word(0) + _K2, word(length - 8)
        return _joined(_turned(b, 37) * factor + a, (_turned(a, 25) + b) * factor, factor)
    if length >= 4:
        return _joined(length + (word(0, 4) << 3), word(length - 4, 4), factor)
    if length:
        y = text[0] + (text[length >> 1] << 8)
        z = length + (text[-1] << 2)
        return _mixed(y * _K2 & _MASK ^ z * _K0 & _MASK) * _K2 & _MASK
    return _K2


def _of_64(word, length: int, factor: int) -> int:  # type: ignore[no-untyped-def]
    """Of 33 to 64 bytes."""
    a, b = word(0) * _K2, word(8)
    c, d = word(length - 8) * factor, word(length - 16) * _K2
    y = _turned(a + b, 43) + _turned(c, 30) + d
    z = _joined(y, a + _turned(b + _K2, 18) + c, factor)
    e, f = word(16) * factor, word(24)
    g, h = (y + word(length - 32)) * factor, (z + word(length - 24)) * factor
    first = _turned(e + f, 43) + _turned(g, 30) + h
    return _joined(first, e + _turned(f + a, 18) + g, factor)


def _of_long(text: bytes) -> int:
    """Of more than 64 bytes: 64 at a time, and the last 64 again."""
    words = [int.from_bytes(text[at : at + 8], "little") for at in range(0, 64, 8)]
    seed = 81
    x, y = seed * _K2 + words[0], seed * _K1 + 113
    z = _mixed(y * _K2 + 113) * _K2
    v, w = (0, 0), (0, 0)
    last = (len(text) - 1) // 64 * 64
    for start in range(0, last, 64):
        x, y, z, v, w = _round(text[start : start + 64], x, y, z, v, w, _K1, 1)
    factor = _K1 + ((z & 0xFF) << 1)
    first = w[0] + (len(text) - 1 & 63)
    v = (v[0] + first, v[1])
    w = (first + v[0], w[1])
    x, y, z, v, w = _round(text[-64:], x, y, z, v, w, factor, 9)
    low = _joined(v[0], w[0], factor) + _mixed(y) * _K0 + z
    return _joined(low, _joined(v[1], w[1], factor) + x, factor)


_Pair = tuple[int, int]


def _round(
    block: bytes, x: int, y: int, z: int, v: _Pair, w: _Pair, factor: int, more: int
) -> tuple[int, int, int, _Pair, _Pair]:
    s = [int.from_bytes(block[at : at + 8], "little") for at in range(0, 64, 8)]
    x = _turned(x + y + v[0] + s[1], 37) * factor & _MASK ^ w[1] * more & _MASK
    y = _turned(y + v[1] + s[6], 42) * factor + v[0] * more + s[5] & _MASK
    z = _turned(z + w[0], 33) * factor & _MASK
    v = _weak(s[:4], v[1] * factor, x + w[0])
    w = _weak(s[4:], z + w[1], y + s[2])
    return z, y, x, v, w


def _weak(words: list[int], a: int, b: int) -> _Pair:
    a += words[0]
    b = _turned(b + a + words[3], 21)
    total = a + words[1] + words[2]
    return (total + words[3]) & _MASK, (b + _turned(total, 44) + a) & _MASK


def siphash64(text: bytes, key: tuple[int, int]) -> int:
    """SipHash-2-4 (Aumasson and Bernstein 2012) with a key of two words of 64 bits."""
    k0, k1 = (part & _MASK for part in key)
    state = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D,
             k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]  # fmt: skip
    padded = text + bytes(7 - len(text) % 8) + bytes([len(text) & 0xFF])
    for at in range(0, len(padded), 8):
        block = int.from_bytes(padded[at : at + 8], "little")
        state[3] ^= block
        state = _sip(_sip(state))
        state[0] ^= block
    state[2] ^= 0xFF
    for _ in range(4):
        state = _sip(state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _sip(state: list[int]) -> list[int]:
    a, b, c, d = state
    a = a + b & _MASK
    b = _turned(b, 51) ^ a
    a = _turned(a, 32)
    c = c + d & _MASK
    d = _turned(d, 48) ^ c
    a = a + d & _MASK
    d = _turned(d, 43) ^ a
    c = c + b & _MASK
    b = _turned(b, 47) ^ c
    return [a, b, _turned(c, 32), d]
