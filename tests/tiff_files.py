"""TIFF files byte by byte, for what no library writes."""

import struct


def tiff(tags, data=b"", *, order="<", following=0):
    """Return a TIFF of one directory, followed by `data`.

    `tags` maps numbers to values: an int (a LONG), a list of ints (SHORTs), bytes (UNDEFINED), or a
    pair of type and bytes. A value of ``None`` is the place of `data`.
    """
    size = 8 + 2 + 12 * len(tags) + 4
    far = b""
    entries = []
    start = size + sum(len(_packed(v, order)[1]) for v in tags.values() if _long(v, order))
    for tag, value in sorted(tags.items()):
        kind, packed = _packed(start if value is None else value, order)
        count = len(packed) // {3: 2, 4: 4, 5: 8, 12: 8}.get(kind, 1)
        if len(packed) > 4:
            entries.append(struct.pack(f"{order}HHII", tag, kind, count, size + len(far)))
            far += packed
        else:
            entries.append(struct.pack(f"{order}HHI", tag, kind, count) + packed.ljust(4, b"\0"))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    return head + b"".join(entries) + struct.pack(f"{order}I", following) + far + data


def grey(data, width, height, *, bits=8, order="<", **tags):
    """Return a TIFF of one strip; more `tags` by number, as in ``t259=5``."""
    plain = {256: width, 257: height, 258: [bits], 259: [1], 262: [1], 273: None, 278: height}
    return tiff(
        plain | {279: len(data)} | {int(name[1:]): value for name, value in tags.items()},
        data,
        order=order,
    )


def _packed(value, order):
    if isinstance(value, tuple):
        return value
    if isinstance(value, bytes):
        return 7, value
    if isinstance(value, list):
        return 3, struct.pack(f"{order}{len(value)}H", *value)
    return 4, struct.pack(f"{order}I", value or 0)


def _long(value, order):
    return len(_packed(value, order)[1]) > 4
