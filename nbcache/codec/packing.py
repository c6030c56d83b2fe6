"""Compression of the sections of a payload, where it pays."""

import threading

import zstandard

_WORTH_COMPRESSING = 256  # bytes
_SHORT = 4096  # bytes
_FAST = -1  # of zstd, for what a hit doesn't read and what is short: two thirds of the time that 1 takes, both ways
_LARGE = 16 * 1024 * 1024  # bytes, beyond which nothing is believed to be much smaller packed than it is
_RATIO = 30
_LEVEL = 1  # of zstd
_SAMPLE = 32_768  # bytes, at the beginning, in the middle and at the end of a buffer
_PAYS = 0.7  # of its length: a buffer that is compressed to more takes longer to unpack than to read


class _Zstd(threading.local):
    """A compressor and a decompressor for each thread: they can't be shared, and cost 20 µs to make."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=_LEVEL).compress
        self.compress_fast = zstandard.ZstdCompressor(level=_FAST).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_zstd = _Zstd()


def packed_bytes(data: bytes, *, fast: bool = False) -> tuple[bytes, bool]:
    """`data`, compressed where that makes it smaller, and whether it is.

    What is short is compressed less: an entry of it fills a page of the database all the same.
    """
    if len(data) >= _WORTH_COMPRESSING:
        smaller = (_zstd.compress_fast if fast or len(data) < _SHORT else _zstd.compress)(data)
        if len(smaller) < len(data) and not _is_bomb(len(data), smaller):
            return smaller, True
    return data, False


def packed_buffer(data: bytes | memoryview) -> tuple[bytes | memoryview, bool]:
    """As `packed_bytes`, for what may be many megabytes: a sample shows whether it pays."""
    if len(data) > 4 * _SAMPLE:
        middle = len(data) // 2
        sample = b"".join((data[:_SAMPLE], data[middle : middle + _SAMPLE], data[-_SAMPLE:]))
        if len(_zstd.compress(sample)) > _PAYS * len(sample):
            return data, False
    smaller, compressed = packed_bytes(bytes(data))
    return (smaller, True) if compressed and len(smaller) <= _PAYS * len(data) else (data, False)


def unpacked_bytes(data: bytes | memoryview, compressed: int) -> bytes:
    """The bytes that were packed. Raises zstandard.ZstdError, also if they would be far larger than the packed ones."""
    if not compressed:
        return bytes(data)
    size = zstandard.frame_content_size(data)
    if _is_bomb(size, data):
        raise zstandard.ZstdError(f"{len(data)} bytes would become {size}")
    return _zstd.decompress(data)


def _is_bomb(size: int, packed: bytes | memoryview) -> bool:
    """Whether so few bytes are not believed to be so many: somebody may have made them to fill the memory."""
    return size > _LARGE and size > _RATIO * len(packed)
