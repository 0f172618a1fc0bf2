"""Makes hostile files of good ones: most keep enough structure to get far into a parser or a decoder.

Each change is drawn from a `random.Random`: the same numbers make the same file, and hypothesis can shrink them.
"""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final

import pydicom.data
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pydicom.valuerep import VR

from support.dicom_tokens import ITEM, PIXEL_DATA, UNDEFINED, Sample, Token, sample_of

Mutation = Callable[[bytes, Sequence[Token], Random], bytes]

_VRS: Final = tuple(vr for vr in VR if len(vr) == 2)
_SYNTAXES: Final = (
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless,
    JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEGLSNearLossless, JPEG2000Lossless, JPEG2000, HTJ2K,
    UID("1.2.3.4"),
)  # fmt: skip
_LENGTHS: Final = (0, 1, 2, 3, 0xFF, 0xFFFE, 0xFFFF, 0x00FFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, UNDEFINED)
_TAGS: Final = (
    0x00020000, 0x00020010, 0x00080005, 0x00080016, 0x00080018, 0x00080060, 0x0020000D, 0x00280002, 0x00280004,
    0x00280008, 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00281201, 0x52009230, 0x7FE00008, PIXEL_DATA,
    ITEM, 0xFFFEE00D, 0xFFFEE0DD, 0xFFFCFFFC, 0x00091001, 0x00000000,
)  # fmt: skip
_SHAPE_GROUP: Final = 0x0028
_DEEPEST: Final = 1500
_NUMBERS: Final = (0, 1, 2, 7, 8, 12, 16, 32, 255, 0x7FFF, 0x8000, 0xFFFF)
_TEXTS: Final = (
    b"",
    b"0",
    b"-1",
    b"99999999999",
    b"1e308",
    b"nan",
    b"1\\2\\3",
    b"\\" * 64,
    b"\0" * 8,
    b"\xff\xfe",
    b"A" * 300,
)


def shipped_files() -> list[Path]:
    """Every file that comes with pydicom as an example: images, directories, reports, broken and foreign files."""
    folder = Path(pydicom.data.__file__).parent
    return sorted(
        path
        for part in ("test_files", "charset_files", "palettes")
        for path in (folder / part).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    )


def shipped_samples() -> list[Sample]:
    """All of them, ready to be mutated."""
    return [sample_of(path.read_bytes()) for path in shipped_files()]


def mutate(sample: Sample, other: Sample, random: Random) -> bytes:
    """A file made of `sample` by one to three changes, or of parts of it and of `other`."""
    content, tokens = sample.content, sample.tokens
    if random.random() < 0.05:
        return splice(sample, other, random)
    for _ in range(random.randint(1, 3)):
        # Tokens hold for what was not moved; after a change of length, later ones hit where they may.
        change = random.choice(_STRUCTURED if tokens and random.random() < 0.85 else _BLIND)
        content = change(content, tokens, random)
    return sample.pack(content)


def mutate_pixels(sample: Sample, random: Random) -> bytes:
    """A file of which nothing but the pixel data is changed: this is for decoders."""
    content = sample.content
    for _ in range(random.randint(1, 3)):
        content = damage_codestream(content, sample.tokens, random)
    return sample.pack(content)


def damage(content: bytes, random: Random) -> bytes:
    """Other bytes than DICOM, changed once to three times, half of the time near their end."""
    start = len(content) * 4 // 5 if random.random() < 0.5 else 0
    head, tail = content[:start], content[start:]
    for _ in range(random.randint(1, 3)):
        tail = random.choice(_BLIND)(tail, (), random)
    return head + tail


def splice(sample: Sample, other: Sample, random: Random) -> bytes:
    """The head of one file and the tail of another, cut between elements where they have any."""
    head, tail = (
        random.choice(each.tokens).start if each.tokens else random.randint(0, len(each.content))
        for each in (sample, other)
    )
    return sample.content[:head] + other.content[tail:]


def flip_bits(content: bytes, _tokens: Sequence[Token], random: Random) -> bytes:
    """A few bits anywhere."""
    changed = bytearray(content)
    for _ in range(random.randint(1, 16) if changed else 0):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def overwrite(content: bytes, _: Sequence[Token], random: Random) -> bytes:
    """A run of one byte, or of noise, anywhere."""
    at, length = random.randint(0, len(content)), random.randint(1, 64)
    run = random.choice([bytes(length), b"\xff" * length, random.randbytes(length)])
    return (content[:at] + run + content[at + length :])[: len(content)]


def truncate(content: bytes, _: Sequence[Token], random: Random) -> bytes:
    """Cut off anywhere."""
    return content[: random.randint(0, len(content))]


def repeat(content: bytes, _: Sequence[Token], random: Random) -> bytes:
    """A piece twice or often."""
    at = random.randint(0, len(content))
    piece = content[at : at + random.randint(1, 512)]
    return content[:at] + piece * random.choice((1, 2, 100)) + content[at:]


def forge_length(content: bytes, tokens: Sequence[Token], random: Random) -> bytes:
    """A length field that says something else."""
    token = random.choice(tokens)
    near = (token.value_bytes + random.choice((-2, -1, 1, 2, 100)), token.value_bytes * 2)
    length = random.choice(_LENGTHS + near) % (1 << 8 * token.length_bytes)
    order = "little" if token.little_endian else "big"
    return _replaced(content, token.length_at, length.to_bytes(token.length_bytes, order))  # type: ignore[arg-type]  # one of the two words


def change_vr(content: bytes, tokens: Sequence[Token], random: Random) -> bytes:
    """A value representation that is another, or none."""
    explicit = [token.vr_at for token in tokens if token.vr_at is not None]
    if not explicit:
        return forge_length(content, tokens, random)
    vr = random.choice((*_VRS, "??", "\0\0", "ZZ", "sq"))
    return _replaced(content, random.choice(explicit), vr.encode())


def change_tag(content: bytes, tokens: Sequence[Token], random: Random) -> bytes:
    """A tag that is another's: duplicates, elements out of order, delimiters where none belong."""
    token = random.choice(tokens)
    tag = random.choice((*_TAGS, random.choice(tokens).tag))
    return _replaced(content, token.start, _tag(tag, token))


def swap(content: bytes, tokens: Sequence[Token], random: Random) -> bytes:
    """Two elements change places."""
    first, second = sorted(random.choices(tokens, k=2), key=lambda token: token.start)
    if first.end > second.start:
        return content
    one, two = content[first.start : first.end], content[second.start : second.end]
    return content[: first.start] + two + content[first.end : second.start] + one + content[second.end :]


def remove(content: bytes, tokens: Sequence[Token], random: Random) -> bytes:
    """One element less."""
    token = random.choice(tokens)
    return content[: token.start] + content[token.end :]


def change_value(content: bytes, tokens: Sequence[Token], random: Random) -> bytes:
    """An extreme value of the right length, mostly of what describes the pixels."""
    shape = [token for token in tokens if token.tag >> 16 == _SHAPE_GROUP]
    token = random.choice(shape if shape and random.random() < 0.7 else tokens)
    if token.value_bytes == 2:
        return _replaced(content, token.value_at, struct.pack("<H", random.choice(_NUMBERS)))
    value = random.choice(_TEXTS)[: token.value_bytes].ljust(min(token.value_bytes, 300), b" ")
    return _replaced(content, token.value_at, value)


def nest_sequences(content: bytes, tokens: Sequence[Token], random: Random) -> bytes:
    """Sequences within sequences, with or without their lengths and ends."""
    token = random.choice(tokens)
    order = "<" if token.little_endian else ">"
    depth = random.choice((1, 2, 50, 400, _DEEPEST))
    length = random.choice((UNDEFINED, 0xFFFFFFF0, 8))
    vr = b"" if token.vr_at is None else random.choice((b"SQ\0\0", b"UN\0\0"))
    sequence = _tag(0x0040A730, token) + vr + struct.pack(f"{order}L", length)
    item = _tag(ITEM, token) + struct.pack(f"{order}L", random.choice((UNDEFINED, length)))
    ends = (_tag(0xFFFEE00D, token) + bytes(4) + _tag(0xFFFEE0DD, token) + bytes(4)) * random.choice((0, depth))
    return content[: token.start] + (sequence + item) * depth + ends + content[token.start :]


def change_syntax(content: bytes, tokens: Sequence[Token], random: Random) -> bytes:
    """A transfer syntax that is not the data set's."""
    named = [token for token in tokens if token.tag == 0x00020010]
    if not named:
        return change_tag(content, tokens, random)
    token = named[0]
    syntax = random.choice(_SYNTAXES).encode()
    value = struct.pack("<H", len(syntax) + len(syntax) % 2) + syntax + bytes(len(syntax) % 2)
    return content[: token.length_at] + value + content[token.end :]


def damage_codestream(content: bytes, tokens: Sequence[Token], random: Random) -> bytes:
    """Damage within the pixel data, often near the head of a fragment, where a codestream has its parameters."""
    pixels = [token for token in tokens if token.tag in {ITEM, PIXEL_DATA} and token.value_bytes > 4]
    if not pixels:
        return flip_bits(content, tokens, random)
    token = random.choice(pixels)
    at = token.value_at + min(int(random.expovariate(0.02)), token.value_bytes - 1)
    if random.random() < 0.3:
        at = random.randrange(token.value_at, token.end)
    kind = random.randrange(4)
    if kind == 0:
        return _replaced(content, at, bytes([content[at] ^ 1 << random.randrange(8)]) if at < len(content) else b"")
    if kind == 1:
        return _replaced(content, at, random.choice((b"\xff", b"\0", b"\xff\xff\xff\xff", b"\0\0\0\0")))
    if kind == 2:
        return _replaced(content, at, random.randbytes(min(random.randint(1, 32), token.end - at)))
    source = random.randrange(token.value_at, token.end)
    return _replaced(content, at, content[source : source + min(random.randint(1, 64), token.end - at)])


def add_fragments(content: bytes, tokens: Sequence[Token], random: Random) -> bytes:
    """Fragments more than there are, empty or with something in them, before those of the image."""
    items = [token for token in tokens if token.tag == ITEM]
    if not items:
        return change_value(content, tokens, random)
    fragment = random.randbytes(random.choice((0, 0, 2, 7)))
    added = (b"\xfe\xff\x00\xe0" + struct.pack("<L", len(fragment)) + fragment) * random.choice((1, 5, 1000))
    at = random.choice(items).start
    return content[:at] + added + content[at:]


_BLIND: Final[tuple[Mutation, ...]] = (flip_bits, overwrite, truncate, repeat)
_STRUCTURED: Final[tuple[Mutation, ...]] = (
    forge_length, forge_length, change_vr, change_tag, swap, remove, change_value, change_value, nest_sequences,
    change_syntax, damage_codestream, damage_codestream, add_fragments,
)  # fmt: skip


def _replaced(content: bytes, at: int, value: bytes) -> bytes:
    return content[:at] + value + content[at + len(value) :]


def _tag(tag: int, token: Token) -> bytes:
    return struct.pack("<HH" if token.little_endian else ">HH", tag >> 16, tag & 0xFFFF)
