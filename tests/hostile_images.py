"""Image files as an enemy would write them, by mutations that know the formats.

Used by a short replay in ``tests/robustness`` and by the long run of
``benchmarks/hostile_files.py``.
"""

import random
import re
import struct
import zlib
from pathlib import Path

CORPUS = Path(__file__).parent / "robustness" / "corpus"
EXTREME = (
    0,
    1,
    2,
    3,
    7,
    8,
    16,
    127,
    255,
    256,
    32767,
    65535,
    65536,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
)


def mutated(data, rng, others):
    """Return a variant of a file; `others` are files to borrow parts from."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
        kind = _kind(data)
        change = _CHANGES[kind] if kind and rng.random() < 0.75 else any_bytes
        try:
            data = change(data, rng, others)
        except (struct.error, ArithmeticError, LookupError, ValueError, zlib.error):
            data = any_bytes(data, rng, others)  # earlier changes have left no structure
        data = data[: 2**20]
    return data


def _kind(data):
    for start, kind in ((b"\x89PNG", "png"), (b"\xff\xd8", "jpeg"), (b"RIFF", "webp")):
        if data.startswith(start):
            return kind
    return "tiff" if data[:2] in (b"II", b"MM") else None


def any_bytes(data, rng, others):
    """Change a file without knowing what it is."""
    at = rng.randrange(len(data)) if data else 0
    size = rng.choice((1, 1, 2, 4, 8, 16, 64, 256))
    what = rng.randrange(8)
    if what == 0:
        return data[:at]
    if what == 1:
        return data[:at] + data[at + size :]
    if what == 2:
        return data[:at] + rng.randbytes(size) + data[at:]
    if what == 3:
        return data[:at] + data[at : at + size] * rng.choice((2, 3, 100)) + data[at + size :]
    if what == 4:
        other = rng.choice(others)
        start = rng.randrange(len(other))
        return data[:at] + other[start : start + size] + data[at + size :]
    if what == 5:
        number = rng.choice(EXTREME)
        code = rng.choice(("<I", ">I", "<H", ">H"))
        packed = struct.pack(code, number & (0xFFFF if code[1] == "H" else 0xFFFFFFFF))
        return data[:at] + packed + data[at + len(packed) :]
    if what == 6:
        return (
            data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :] if data else b""
        )
    return data[:at] + rng.choice((b"\0", b"\xff")) * size + data[at + size :]


def _chunks(data, order):
    """The parts of a PNG (order ">") or WebP file as (name, content)."""
    position = 8 if order == ">" else 12
    while position + 8 <= len(data):
        code = ">I4s" if order == ">" else "<4sI"
        length, name = struct.unpack(code, data[position : position + 8])[
            :: 1 if order == ">" else -1
        ]
        yield name, data[position + 8 : position + 8 + length]
        position += 8 + length + (4 if order == ">" else length % 2)


def _rearrange(parts, at, what, rng, others):
    """Damage the content of the part at `at`, leave it out, repeat it, or mix all."""
    if what == 0:
        name, body, *rest = parts[at]
        parts[at] = (name, any_bytes(body, rng, others), *rest)
    elif what == 1:
        del parts[at]
    elif what == 2:
        parts.insert(rng.randrange(len(parts) + 1), parts[at])
    else:
        rng.shuffle(parts)


def png(data, rng, others):
    """Change chunks of a PNG; most get the checksum that they need."""
    chunks = list(_chunks(data, ">"))
    at = rng.randrange(len(chunks))
    name, body = chunks[at]
    what = rng.randrange(9)
    if what < 4:
        _rearrange(chunks, at, what, rng, others)
    elif what == 4:
        width, height = rng.choice(EXTREME), rng.choice((*EXTREME, 1))
        rest = bytes(
            [
                rng.choice((1, 2, 4, 8, 16, rng.randrange(256))),
                rng.choice((0, 2, 3, 4, 6, rng.randrange(256))),
                rng.choice((0, 0, 1)),
                rng.choice((0, 0, 1)),
                rng.choice((0, 1, 2)),
            ]
        )
        old = chunks[0][1]
        sides = old[:8] if rng.random() < 0.5 else struct.pack(">II", width, height)
        chunks[0] = (b"IHDR", sides + (old[8:] if rng.random() < 0.5 else rest))
    elif what == 5:
        name = rng.choice(
            (b"tRNS", b"PLTE", b"iCCP", b"zTXt", b"iTXt", b"acTL", b"eXIf", b"gAMA", b"ABCD")
        )
        body = rng.choice((b"", rng.randbytes(rng.randrange(800)), b"a\0\0" + _bomb(rng)))
        if name == b"eXIf" and rng.random() < 0.7:
            body = tiff(_first(others, "tiff", rng), rng, others)
        chunks.insert(rng.randrange(len(chunks)), (name, body))
    elif what == 6:
        packed = b"".join(body for name, body in chunks if name == b"IDAT")
        lines = zlib.decompressobj().decompress(packed, 2**16)
        lines = rng.choice((any_bytes(lines, rng, others), lines + bytes(1000), bytes(2**20)))
        chunks = [chunk for chunk in chunks if chunk[0] != b"IDAT"]
        chunks.insert(-1, (b"IDAT", rng.choice((zlib.compress(lines, 9), _bomb(rng)))))
    elif what == 7:
        piece = rng.choice((0, 1, 3))
        parts = (
            [body[start : start + piece] for start in range(0, len(body), piece)] if piece else []
        )
        chunks[at : at + 1] = [(name, part) for part in parts or [b""] * 3000]
    else:
        chunks[at] = (rng.choice((b"IDAT", b"IHDR", b"fdAT", b"\0\0\0\0")), body)
    wrong = len(chunks) if rng.random() < 0.9 else rng.randrange(len(chunks))
    out = bytearray(data[:8])
    for number, (name, body) in enumerate(chunks):
        checksum = zlib.crc32(name + body) ^ (number == wrong)
        out += struct.pack(">I", len(body)) + name + body + struct.pack(">I", checksum)
    return bytes(out)


def _bomb(rng):
    return zlib.compress(bytes(rng.choice((2**16, 2**22))), 9)


def _first(others, kind, rng):
    return rng.choice([other for other in others if _kind(other) == kind])


def _segments(data):
    """The parts of a JPEG as (marker, content, data of a scan)."""
    position = 2
    while position + 4 <= len(data):
        marker = data[position + 1]
        if marker == 0xD9:
            break
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        body = data[position + 4 : position + 2 + length]
        position += 2 + length
        coded = b""
        if marker == 0xDA:
            found = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]").search(data, position)
            end = found.start() if found else len(data)
            coded, position = data[position:end], end
        yield marker, body, coded


def jpeg(data, rng, others):
    """Change segments and scans of a JPEG."""
    parts = list(_segments(data))
    at = rng.randrange(len(parts))
    frames = [n for n, part in enumerate(parts) if part[0] in (0xC0, 0xC1, 0xC2)]
    scans = [n for n, part in enumerate(parts) if part[0] == 0xDA]
    what = rng.randrange(10)
    if what < 3:
        _rearrange(parts, at, what, rng, others)
    elif what == 3:
        frame = parts[frames[0]][1]
        sides = struct.pack(">HH", *(rng.choice(EXTREME) & 0xFFFF for _ in range(2)))
        parts[frames[0]] = (parts[frames[0]][0], frame[:1] + sides + frame[5:], b"")
    elif what == 4:
        parts[frames[0]] = (rng.randrange(0xC0, 0xD0), parts[frames[0]][1], b"")
    elif what == 5:
        parts[frames[0]] = (parts[frames[0]][0], any_bytes(parts[frames[0]][1], rng, others), b"")
    elif what == 6:
        scan = parts[rng.choice(scans)]
        count = rng.choice((1, 3, 90, 3000))
        parts += [(0xDA, scan[1], scan[2] if rng.random() < 0.5 else b"\0")] * count
    elif what == 7:
        scan = rng.choice(scans)
        parts[scan] = (0xDA, parts[scan][1], any_bytes(parts[scan][2], rng, others))
    elif what == 8:
        added = rng.choice((0xDD, 0xE1, 0xE2, 0xEE, 0xC4, 0xDC, 0xCC))
        content = rng.randbytes(rng.choice((2, 4, 30)))
        if added == 0xE1:
            content = b"Exif\0\0" + tiff(_first(others, "tiff", rng), rng, others)[:60000]
        if added == 0xE2:
            content = b"ICC_PROFILE\0" + content
        parts.insert(rng.randrange(len(parts) + 1), (added, content, b""))
    else:
        rng.shuffle(parts)
    out = bytearray(data[:2])
    for marker, body, coded in parts:
        out += bytes([0xFF, marker]) + struct.pack(">H", (len(body) + 2) & 0xFFFF) + body + coded
    return bytes(out + b"\xff\xd9")


def webp(data, rng, others):
    """Change chunks of a WebP."""
    chunks = list(_chunks(data, "<"))
    at = rng.randrange(len(chunks))
    name, body = chunks[at]
    what = rng.randrange(8)
    if what < 4:
        _rearrange(chunks, at, what, rng, others)
    elif what == 4:
        flags = rng.randrange(256)
        sides = b"".join(struct.pack("<I", rng.choice(EXTREME))[:3] for _ in range(2))
        chunks = [chunk for chunk in chunks if chunk[0] != b"VP8X"]
        chunks.insert(0, (b"VP8X", bytes([flags, 0, 0, 0]) + sides))
    elif what == 5:
        name = rng.choice((b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP ", b"VP8 ", b"VP8L"))
        body = rng.randbytes(rng.choice((0, 5, 16, 100)))
        if name == b"EXIF" and rng.random() < 0.7:
            body = tiff(_first(others, "tiff", rng), rng, others)
        chunks.insert(rng.randrange(len(chunks) + 1), (name, body))
    elif what == 6:
        start = 6 if name == b"VP8 " else 1
        packed = struct.pack("<I", rng.choice(EXTREME) | rng.choice(EXTREME) << 14 & 0xFFFFFFFF)
        chunks[at] = (name, body[:start] + packed + body[start + 4 :])
    else:
        number = rng.choice((*EXTREME, len(data)))
        return data[:4] + struct.pack("<I", number & 0xFFFFFFFF) + data[8:]
    inside = bytearray(b"WEBP")
    for name, body in chunks:
        inside += name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(inside)) + bytes(inside)


_TAGS = (
    254, 255, 256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323,
    324, 325, 330, 332, 338, 339, 347, 512, 513, 514, 529, 530, 532, 700, 32997, 33628, 33629,
    34118, 34361, 34412, 34665, 34675, 37724, 42113, 50838, 50839, 65420,
)  # fmt: skip
_TEXTS = (
    b'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    b'<Image ID="Image:0"><Pixels ID="P:0" DimensionOrder="XYZCT" Type="uint8" SizeX="9" SizeY="7"'
    b' SizeZ="1000000000" SizeC="1" SizeT="1"><TiffData><UUID FileName="pipe">urn:uuid:1</UUID>'
    b"</TiffData></Pixels></Image></OME>\0",
    b"ImageJ=1.53\nimages=999999999\nslices=999999999\n\0",
    b'{"shape": [99999999999, 99999999999, 3]}\0',
)


def tiff(data, rng, others):
    """Change directories of a TIFF, or point them at each other."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    word, code = ("Q", "HHQQ") if big else ("I", "HHII")
    (first,) = struct.unpack_from(order + word, data, 8 if big else 4)
    count_code = "Q" if big else "H"
    (count,) = struct.unpack_from(order + count_code, data, first)
    start = first + struct.calcsize("=" + count_code)
    size = struct.calcsize("=" + code)
    count = min(count, (len(data) - start) // size, 60)
    entries = [list(struct.unpack_from(order + code, data, start + n * size)) for n in range(count)]
    (following,) = struct.unpack_from(
        order + word, data.ljust(start + count * size + 8, b"\0"), start + count * size
    )
    entry = rng.choice(entries)
    limit = 2**64 - 1 if big else 2**32 - 1
    extreme = rng.choice((*EXTREME, 2**63, limit, len(data), len(data) - 1, first)) & limit
    what = rng.randrange(11)
    if what == 0:
        entry[1] = rng.choice((*range(20), 65535))
    elif what == 1:
        entry[2] = extreme
    elif what in (2, 3):
        entry[3] = extreme if order == "<" or rng.random() < 0.5 else (extreme & 0xFFFF) << 16
    elif what == 4:
        entries.remove(entry)
    elif what == 5:
        entries.append(
            [
                rng.choice(_TAGS),
                rng.choice((1, 2, 3, 4, 5, 7, 13, 16)),
                rng.choice((1, 1, 3, extreme)),
                extreme,
            ]
        )
    elif what == 6:
        entry[0] = rng.choice(_TAGS)
    elif what == 7:
        following = rng.choice((first, extreme, start, len(data)))
    elif what == 8:
        text = rng.choice(_TEXTS)
        entries = [e for e in entries if e[0] != 270] + [[270, 2, len(text), len(data)]]
        data += text
    elif what == 9:
        # arrays of strips or tiles of any length
        number = rng.choice((0, 1, 2, 100, 70_000))
        for e in entries:
            if e[0] in (273, 279, 324, 325) and rng.random() < 0.8:
                e[1:] = [4, number, len(data)]
        values = rng.choice((8, len(data), extreme)) & 0xFFFFFFFF
        data += struct.pack(order + "I", values) * number
    else:
        other = rng.choice(others)
        for e in entries:
            if e[0] in (273, 324) and e[2] == 1:
                e[3] = len(data)
            if e[0] in (279, 325) and e[2] == 1:
                e[3] = len(other)
            if e[0] == 259 and rng.random() < 0.8:
                e[3] = rng.choice(
                    (1, 5, 6, 7, 8, 32773, 33003, 34712, 34887, 34925, 50000, 50001, 50002)
                )
                e[3] <<= 16 if order == ">" and not big else 0
        data += other
    # the directory moves to the end, where it may grow
    new = len(data)
    where = 8 if big else 4
    out = bytearray(data)
    struct.pack_into(order + word, out, where, new)
    out += struct.pack(order + count_code, len(entries))
    for e in entries:
        out += struct.pack(order + code, *e)
    return bytes(out + struct.pack(order + word, following & limit))


_CHANGES = {"png": png, "jpeg": jpeg, "webp": webp, "tiff": tiff}


def seeds():
    """Return the files that all others are made of."""
    return [path.read_bytes() for path in sorted((CORPUS / "seeds").iterdir())]


def variant(number, seed, files):
    """Return one hostile file, the same for each number and seed."""
    rng = random.Random(f"{seed}/{number}")
    return mutated(rng.choice(files), rng, files)
