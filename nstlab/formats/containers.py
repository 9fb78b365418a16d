"""How picture files are built: PNG, JPEG and TIFF reduced to what their pixels need, and the orientation in EXIF data.

A whole picture with damaged metadata is read from such a reduced copy.
"""

import struct
import zlib

PNG = b"\x89PNG\r\n\x1a\n"
PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"iCCP", b"eXIf")
# of the JPEG segments: JFIF, EXIF and XMP, colour profile, Adobe's colour transform; all others below 0xE0 hold pixels
JPEG_SEGMENTS = {0xE0: (b"JFIF",), 0xE1: (b"Exif\0", b"http://ns.adobe.com/xap"), 0xE2: (b"ICC_PROFILE\0",), 0xEE: (b"Adobe",)}
# size, bits, compression, photometric, strips, tiles, palette, predictor, tables, colour profile, fill order, and which page
TIFF_TAGS = {
    254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325,
    332, 338, 339, 347, 529, 530, 531, 532, 34675, 50706,
}  # fmt: skip
ORIENTATION = 274


def reduced(data: bytes) -> bytes | None:
    """A copy of the file without metadata, except for orientation and colour profile; None if it cannot be made."""
    try:
        if data.startswith(PNG):
            return _png(data)
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return _tiff(data)
    except (struct.error, IndexError):
        pass
    return None


def _png(data: bytes) -> bytes:
    """The chunks that hold the picture, and the one in which `images.save` keeps its settings."""
    parts, place = [PNG], len(PNG)
    while place + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        chunk = data[place : place + length + 12]
        body = chunk[8 : 8 + length]
        whole = kind[0] < 97 or zlib.crc32(kind + body) == int.from_bytes(chunk[8 + length :], "big")
        ours = kind == b"tEXt" and body.startswith(b"nstlab")
        if whole and (ours or (kind in PNG_CHUNKS and (kind != b"iCCP" or _is_profile(body)))):
            parts.append(chunk)
        place += length + 12
    return b"".join(parts)


def _is_profile(body: bytes) -> bool:
    """Whether an iCCP chunk holds a colour profile of at most 1 MB, the most that Pillow unpacks."""
    packed = body.partition(b"\0")[2]  # behind the name
    try:
        unpacking = zlib.decompressobj()
        return packed[:1] == b"\0" and len(unpacking.decompress(packed[1:], 2**20)) > 128 and not unpacking.unconsumed_tail
    except zlib.error:
        return False


def _jpeg(data: bytes) -> bytes:
    parts, place = [data[:2]], 2
    while place + 4 <= len(data):
        marker = data[place + 1]
        if data[place] != 0xFF or marker == 0xFF:  # fill bytes, or noise between segments
            place += 1
            continue
        if marker == 0xDA:  # the pixels begin: the rest stays as it is
            break
        end = (
            place + 2
            if 0xD0 <= marker <= 0xD9 or marker < 2
            else place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        )
        if marker < 0xE0 or data.startswith(JPEG_SEGMENTS.get(marker, ()), place + 4):
            parts.append(data[place:end])
        place = end
    return b"".join(parts) + data[place:]


def _layout(data: bytes) -> tuple[str, int]:
    """Byte order of a TIFF as `struct` has it, and the bytes of an offset: 4, or 8 in a BigTIFF."""
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    return order, 8 if data[2:4] in (b"+\0", b"\0+") else 4


def _entries(data: bytes, place: int | None = None) -> dict[int, bytes]:
    """The entries of a directory of a TIFF (the first, or the one at `place`) by tag, as they stand in the file."""
    order, width = _layout(data)
    if place is None:
        (place,) = struct.unpack_from(order + ("I" if width == 4 else "Q"), data, width)
    (count,) = struct.unpack_from(order + ("H" if width == 4 else "Q"), data, place)
    place += 2 if width == 4 else 8
    size = 4 + 2 * width
    found = (data[at : at + size] for at in range(place, min(place + count * size, len(data) - size + 1), size))
    return {struct.unpack_from(order + "H", entry)[0]: entry for entry in found}


def _tiff(data: bytes) -> bytes:
    """The TIFF with a new first directory at its end; what its entries point to stays where it is."""
    order, width = _layout(data)
    entries = [entry for tag, entry in sorted(_entries(data).items()) if tag in TIFF_TAGS]
    data += bytes(-len(data) % 8)
    number, offset, at = ("H", "I", 4) if width == 4 else ("Q", "Q", 8)
    head = data[:at] + struct.pack(order + offset, len(data)) + data[at + width :]
    return head + struct.pack(order + number, len(entries)) + b"".join(entries) + bytes(width)


def tag(data: bytes, number: int, place: int | None = None) -> int:
    """The whole number in an entry of a TIFF's directory, 0 where there is none that can be read.

    `place` is the directory's offset, None the first directory. EXIF data is a TIFF too.
    """
    try:
        data = data.removeprefix(b"Exif\0\0")
        order, width = _layout(data)
        entry = _entries(data, place)[number]
        (kind,) = struct.unpack_from(order + "H", entry, 2)
        return struct.unpack_from(order + ("I" if kind == 4 else "H"), entry, 4 + width)[0]
    except (struct.error, KeyError, IndexError):
        return 0
