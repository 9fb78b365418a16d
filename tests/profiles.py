"""Colour profiles made byte by byte, and what they mean in plain NumPy: nothing here uses a colour management library."""

import struct

import numpy as np

PRIMARIES = {  # x, y of red, green, blue; the white of all is D65
    "srgb": ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    "p3": ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
    "adobe": ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
    "rec2020": ((0.708, 0.292), (0.17, 0.797), (0.131, 0.046)),
}
D65, D50 = np.array([0.3127 / 0.3290, 1, 0.3583 / 0.3290]), np.array([0.9642, 1, 0.8249])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def to_xyz(name: str) -> np.ndarray:
    """The matrix from linear RGB of these primaries to XYZ as seen under D50."""
    colors = np.array([(x / y, 1, (1 - x - y) / y) for x, y in PRIMARIES[name]]).T
    colors = colors * np.linalg.solve(colors, D65)
    adapt = np.linalg.solve(BRADFORD, np.diag(BRADFORD @ D50 / (BRADFORD @ D65)) @ BRADFORD)
    return adapt @ colors


def encoded(linear: np.ndarray) -> np.ndarray:
    """The curve of sRGB."""
    linear = linear.clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def rgb_meaning(values: np.ndarray, name: str, gamma: float) -> np.ndarray:
    """sRGB in [0, 1] of RGB values (..., 3) in [0, 1] with these primaries and this gamma."""
    return encoded(values**gamma @ (np.linalg.inv(to_xyz("srgb")) @ to_xyz(name)).T)


def grey_meaning(values: np.ndarray, gamma: float) -> np.ndarray:
    return encoded(values**gamma)


def _profile(kind: bytes, space: bytes, pcs: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    head = struct.pack(">I4x4s4s4s4s6H", start + len(body), b"\2\x40\0\0", kind, space, pcs, 2024, 1, 1, 0, 0, 0) + b"acsp"
    head += bytes(28) + _fixed(D50)
    return head + bytes(128 - len(head)) + table + body


def _fixed(numbers) -> bytes:
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


def _curve(gamma: float) -> bytes:
    return b"curv" + struct.pack(">4xIHxx", 1, round(gamma * 256))


def rgb_profile(name: str, gamma: float) -> bytes:
    """Primaries and a gamma that is a multiple of 1 / 256."""
    columns = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), to_xyz(name).T, strict=True)) | {b"wtpt": D50}
    tags = {tag: b"XYZ " + bytes(4) + _fixed(column) for tag, column in columns.items()}
    return _profile(b"mntr", b"RGB ", b"XYZ ", tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma)))


def grey_profile(gamma: float) -> bytes:
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"wtpt": b"XYZ " + bytes(4) + _fixed(D50), b"kTRC": _curve(gamma)})


def cmyk_profile(corners: np.ndarray) -> bytes:
    """A profile by what the sixteen full or empty inks look like: Lab colours (2, 2, 2, 2, 3), by C, M, Y, K."""
    grid = np.stack([corners[..., 0] * 652.8, (corners[..., 1] + 128) * 256, (corners[..., 2] + 128) * 256], -1)
    identity = struct.pack(">9i", *(65536 * value for value in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table = b"mft2" + struct.pack(">4x4B", 4, 3, 2, 0) + identity + struct.pack(">2H", 2, 2)
    table += struct.pack(">8H", *[0, 65535] * 4) + grid.round().astype(">u2").tobytes() + struct.pack(">6H", *[0, 65535] * 3)
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"wtpt": b"XYZ " + bytes(4) + _fixed(D50), b"A2B0": table})


def lab(srgb: np.ndarray) -> np.ndarray:
    """Lab colours (..., 3), white D50, of sRGB colours in [0, 1]."""
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    ratios = linear @ to_xyz("srgb").T / D50
    f = np.where(ratios > 216 / 24389, np.cbrt(ratios), (24389 / 27 * ratios + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)
