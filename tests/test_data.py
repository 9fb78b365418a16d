import gc
import json
import shutil
import sys
import types
import warnings

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nstlab import images, samples
from nstlab.data import Batches, Coco, Folder, Pictures, Repeated, Samples, WikiArt, open_pictures, stream_wikiart
from nstlab.data.coco import _decoded
from nstlab.data.crops import Crop, Store, draw, take, to_bytes
from nstlab.data.guides import Guides
from nstlab.data.scenes import Scenes, scene
from nstlab.data.wikiart import Work, work_of
from nstlab.errors import ImageError, SettingError


class Ramps(Pictures):
    """Red is the column, green the row, blue the number of the picture; its own guide is the column again."""

    def __init__(self, count=7, height=40, width=60, own=False):
        self.names = [f"ramp{i}" for i in range(count)]
        self.shape, self.own, self.loads = (height, width), own, 0

    def load(self, index):
        self.loads += 1
        rows, columns = (torch.linspace(0, 1, side) for side in self.shape)
        blue = torch.full(self.shape, index / 255)
        return torch.stack([columns.expand(self.shape), rows[:, None].expand(self.shape), blue])[None]

    def guide(self, index):
        return self.load(index)[:, :1] if self.own else None


def red(image):
    return image[:, :1]


def save(path, color=(200, 30, 30), size=(30, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path


def equal(a, b):
    same_guides = a.guides is b.guides is None or torch.equal(a.guides, b.guides)
    return torch.equal(a.images, b.images) and same_guides and a.names == b.names


@pytest.fixture
def folder(tmp_path):
    """Six pictures, two of them in a folder of their own, among files that are none."""
    for i, name in enumerate(["b.png", "a.jpg", "deep/er/c.PNG", "deep/d.webp", "e.bmp", "f.tiff"]):
        save(tmp_path / "set" / name, (40 * i, 255 - 40 * i, 90), (60 + i, 44))
    for name in (".hidden.png", ".folder/x.png"):
        save(tmp_path / "set" / name)
    (tmp_path / "set" / "notes.txt").write_text("no picture")
    return tmp_path / "set"


# Sets


def test_a_folder_is_every_picture_below_it(folder):
    pictures = Folder(folder)
    assert pictures.names == ["a.jpg", "b.png", "deep/d.webp", "deep/er/c.PNG", "e.bmp", "f.tiff"] and len(pictures) == 6
    assert pictures.load(1).shape == (1, 3, 44, 60) and pictures.guide(1) is None
    assert torch.equal(pictures.load(3), images.load(folder / "deep/er/c.PNG"))
    assert Folder(str(folder)).names == pictures.names


def test_linked_folders_are_followed_but_not_in_circles(folder, tmp_path):
    save(tmp_path / "elsewhere" / "g.png")
    (folder / "deep" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "deep" / "back").symlink_to(folder, target_is_directory=True)
    names = Folder(folder).names
    assert "deep/linked/g.png" in names and len(names) == 7


def test_samples():
    assert Samples("photo").names == samples.names("photo") and len(Samples("painting")) == 12
    some = Samples("painting", ["spring", "great-wave"])
    assert some.names == ["spring", "great-wave"] and torch.equal(some.load(0), images.load("spring"))


def test_open_pictures(folder):
    assert open_pictures("samples", "painting").names == samples.names("painting")
    assert open_pictures(folder, "photo").names == Folder(folder).names
    assert open_pictures(str(folder / "b.png"), "photo").names == ["b.png"]
    assert open_pictures("cat", "photo").names == ["cat"]
    several = open_pictures([folder / "b.png", "great-wave", "samples"], "photo")
    assert several.names == ["b.png", "great-wave", *samples.names("photo")]
    assert torch.equal(several.load(1), images.load("great-wave"))


def test_wrong_places(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    for make, message in [
        (lambda: Folder(tmp_path / "nowhere"), "nowhere: there is no such folder"),
        (lambda: Folder(folder / "b.png"), "b.png is a file, not a folder"),
        (lambda: Folder(tmp_path / "empty"), "empty holds no pictures"),
        (lambda: open_pictures(tmp_path / "empty", "photo"), "empty holds no pictures"),
        (lambda: open_pictures(str(tmp_path / "nowhere"), "photo"), "no such file"),
        (lambda: open_pictures("sampels", "photo"), "neither a file nor a sample"),
        (lambda: open_pictures([], "photo"), "no pictures are named"),
        (lambda: open_pictures("", "photo"), "name of the pictures is empty"),
    ]:
        with pytest.raises(ImageError, match=message):
            make()
    with pytest.raises(SettingError, match="unknown kind of sample 'paintings': did you mean painting"):
        Samples("paintings")
    with pytest.raises(SettingError, match="unknown sample photo 'spring'"):
        Samples("photo", ["spring"])


# MS-COCO

SQUARE = [10, 5, 20, 5, 20, 15, 10, 15]  # x, y of the corners


def coco_set(path, extra=(), **changes):
    """Three photos 40 x 30 and their annotations as COCO writes them; returns (folder, file)."""
    names = ["000000000009.jpg", "000000000025.jpg", "000000000030.jpg"]
    for name in names:
        save(path / "train" / name, size=(40, 30))
    runs = {"counts": [30 * 2, 30 * 3, 30 * 35], "size": [30, 40]}  # columns 2, 3 and 4, counted down the columns
    outlines = [(1, [SQUARE]), (1, runs), (2, [SQUARE, [30, 20, 36, 20, 36, 28, 30, 28]])]
    data = {
        "info": {}, "licenses": [], "categories": [{"id": 1, "name": "person", "supercategory": "person"}],
        "images": [{"id": i + 1, "file_name": name, "height": 30, "width": 40} for i, name in enumerate([*names, *extra])],
        "annotations": [
            {"id": n, "image_id": i, "category_id": 1, "iscrowd": 0, "area": 1, "bbox": [0, 0, 1, 1], "segmentation": outline}
            for n, (i, outline) in enumerate(outlines)
        ],
    }  # fmt: skip
    file = path / "instances.json"
    file.write_text(json.dumps(data | changes))
    return path / "train", file


def test_coco_has_its_own_guides(tmp_path):
    pytest.importorskip("pycocotools")
    pictures = Coco(*coco_set(tmp_path))
    assert len(pictures) == 3 and pictures.load(0).shape == (1, 3, 30, 40) and pictures.missing == []
    wanted = torch.zeros(1, 1, 30, 40)
    wanted[..., 5:15, 10:20] = 1
    wanted[..., 2:5] = 1  # an outline and runs of pixels together
    assert torch.equal(pictures.guide(0), wanted)
    assert pictures.guide(1)[0, 0, 24, 33] == 1 and pictures.guide(1).sum() == 100 + 48
    assert pictures.guide(2) is None  # nothing outlined


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_coco_guides_turn_with_the_photo(orientation, tmp_path):
    pytest.importorskip("pycocotools")
    root, file = coco_set(tmp_path)
    pictures = Coco(root, file)
    stored = np.zeros((30, 40, 3), np.uint8)
    stored[pictures.guide(0)[0, 0].numpy() > 0] = 255  # white where something is outlined
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(root / pictures.names[0], exif=exif, quality=95)
    photo, guide = pictures.load(0), pictures.guide(0)
    assert photo.shape[2:] == guide.shape[2:] == ((30, 40) if orientation == 3 else (40, 30))
    assert torch.equal((photo.mean(1, keepdim=True) > 0.5).float(), guide)


def test_coco_guides_go_before_the_function(tmp_path):
    pytest.importorskip("pycocotools")
    pictures = Coco(*coco_set(tmp_path))
    batch = Batches(pictures, 24, 3, guides=lambda image: torch.full_like(image[:, :1], 0.5))[0]
    by_name = dict(zip(batch.names, batch.guides))
    assert by_name["000000000009.jpg"].max() == 1
    assert by_name["000000000030.jpg"].sub(128 / 255).abs().max() < 1e-6


def test_coco_names_missing_pictures(tmp_path):
    pytest.importorskip("pycocotools")
    root, file = coco_set(tmp_path, extra=[f"gone{i}.jpg" for i in range(5)])
    with pytest.warns(UserWarning, match=r"5 of the 8 pictures .* left out: gone0.jpg, gone1.jpg, gone2.jpg, \.\.\.") as said:
        pictures = Coco(root, file)
    assert len(said) == 1 and len(pictures) == 3 and len(pictures.missing) == 5
    assert pictures.guide(0).sum() == 190 and len(pictures.plain()) == 3
    (tmp_path / "other").mkdir()
    with pytest.raises(ImageError, match="none of the 8 pictures"):
        Coco(tmp_path / "other", file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no COCO file"),
        ("[1, 2]", "is no COCO file"),
        ('{"images": [1]}', "is no COCO file"),
        ('{"images": {"id": 1}}', "is no COCO file"),
        ("{}", "holds no outlines"),
        ('{"images": [{"id": 1, "file_name": "a.jpg"}]}', "holds no outlines"),
        (
            '{"images": [{"id": 1, "file_name": "a.jpg", "height": 1, "width": 1}],'
            ' "annotations": [{"id": 1, "image_id": 1, "caption": "a cat"}]}',
            "holds no outlines",
        ),
        (b"\xff\xd8\xff\xe0", "is no COCO file"),
    ],
)
def test_other_files_are_no_coco(text, message, tmp_path):
    pytest.importorskip("pycocotools")
    file = tmp_path / "captions.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ImageError, match=message):
        Coco(tmp_path, file)


@pytest.mark.parametrize(
    "outline", [[[1, 2, 20, 20]], [["x"]], [SQUARE, [3, 4, 5]], {"counts": [1]}, [[*SQUARE[:6], np.nan, 3]]]
)
def test_an_outline_that_cannot_be_read_is_left_out(outline, tmp_path):
    pytest.importorskip("pycocotools")
    outlines = [{"id": n, "image_id": 1, "category_id": 1, "segmentation": o} for n, o in enumerate([outline, [SQUARE]], 1)]
    with pytest.warns(UserWarning, match="1 outlines in .*instances.json .* left out, in the pictures 000000000009.jpg"):
        pictures = Coco(*coco_set(tmp_path, annotations=outlines))
    assert pictures.guide(0).sum() == 100 and pictures.unreadable == ["000000000009.jpg"] and len(pictures.notes) == 1


BAD_RUNS = [
    {"counts": [5, 3], "size": [30, 40]},  # too few
    {"counts": [1200, 10_000], "size": [30, 40]},  # beyond the photo
    {"counts": [-5, 1205], "size": [30, 40]},
    {"counts": "damaged", "size": [30, 40]},
    {"counts": "o", "size": [30, 40]},  # cut short
    {"counts": [1200], "size": [40, 30]},  # of another photo
    {"counts": ["x"], "size": [30, 40]},
    {"counts": None, "size": None},
]


@pytest.mark.parametrize("outline", BAD_RUNS)
def test_an_outline_that_cannot_be_decoded_is_left_out_when_it_is_met(outline, tmp_path):
    pytest.importorskip("pycocotools")
    outlines = [(1, outline), (1, [SQUARE]), (2, outline)]
    things = [{"id": n, "image_id": i, "category_id": 1, "segmentation": o} for n, (i, o) in enumerate(outlines, 1)]
    pictures = Coco(*coco_set(tmp_path, annotations=things))
    assert not pictures.notes and pictures.left_out == 0
    with pytest.warns(UserWarning, match=r"outline 1 in 000000000009.jpg cannot be read \(.+\) and is left out") as said:
        assert pictures.guide(0).sum() == 100 and pictures.guide(0).sum() == 100
    assert [one.category for one in said].count(UserWarning) == 1  # numpy may warn of its own changes
    assert pictures.unreadable == pictures.names[:1] and pictures.left_out == 1
    with pytest.warns(UserWarning, match="outline 3 in 000000000025.jpg"):
        assert pictures.guide(1) is None
    assert len(pictures.notes) == pictures.left_out == 2


def test_compressed_runs_are_read_as_pycocotools_writes_them():
    mask = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for share in (0, 0.01, 0.5, 0.99, 1):
        drawn = (rng.random((30, 41)) < share).astype(np.uint8)
        flat = drawn.flatten("F")
        ends = [*(np.flatnonzero(np.diff(flat)) + 1), flat.size]
        runs = np.diff([0] * (2 if flat[0] else 1) + ends)  # zeros first, even if there are none
        assert _decoded(mask.encode(np.asfortranarray(drawn))["counts"]) == runs.tolist()


def test_more_of_coco_that_is_wrong(tmp_path, monkeypatch):
    pytest.importorskip("pycocotools")
    root, file = coco_set(tmp_path)
    for pictures, annotations, message in [
        (tmp_path / "nowhere", file, "no such folder"), (root, tmp_path / "nowhere.json", "cannot be read"),
        (root, root, "cannot be read"),
    ]:  # fmt: skip
        with pytest.raises(ImageError, match=message):
            Coco(pictures, annotations)
    for name in ("pycocotools", "pycocotools.coco"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SettingError, match="pip install pycocotools"):
        Coco(root, file)


# WikiArt


@pytest.mark.parametrize(
    ("name", "work"),
    [
        ("Realism/mary-cassatt_summertime-1894.jpg", Work("Realism", "mary-cassatt", "summertime", 1894)),
        ("Pop_Art/a-b_number-1-1950-1.jpg", Work("Pop_Art", "a-b", "number-1", 1950)),
        ("x/wikiart/Cubism/a_untitled-1912(2).png", Work("Cubism", "a", "untitled", 1912)),
        ("Cubism/a_view-of-1889-from-afar.jpg", Work("Cubism", "a", "view-of-1889-from-afar", None)),
        ("Realism/mary-cassatt_x-1894.jpg!Large.jpg", Work("Realism", "mary-cassatt", "x", 1894)),
        ("Realism/a_x-1894(1).JPG!HalfHD.jpg", Work("Realism", "a", "x", 1894)),
        ("Realism/a_what-a-day!.jpg", Work("Realism", "a", "what-a-day!", None)),
        ("Ukiyo_e/utagawa-hiroshige_inokashira.jpg", Work("Ukiyo_e", "utagawa-hiroshige", "inokashira", None)),
        ("Cubism/a_1984-1950.jpg", Work("Cubism", "a", "1984", 1950)),
        ("Cubism/no-artist.jpg", None),
        ("a_b-1900.jpg", None),
    ],
)
def test_names_of_works(name, work):
    assert work_of(name) == work


def test_the_samples_are_named_as_in_wikiart():
    works = [work_of(f"x/{path.name}") for path in Samples("painting").paths]
    assert all(works) and {work.year for work in works} >= {1563, 1831, None}


@pytest.fixture
def wikiart(tmp_path):
    for name in [
        "Impressionism/claude-monet_water-lilies-1916.jpg", "Impressionism/mary-cassatt_summertime-1894.jpg",
        "Realism/claude-monet_hunting-trophies.jpg", "Cubism/pablo-picasso_guitar-1913.jpg",
    ]:  # fmt: skip
        save(tmp_path / "wikiart" / name)
    return tmp_path / "wikiart"


def test_wikiart_by_artist_and_style(wikiart):
    assert [work.year for work in WikiArt(wikiart).works] == [1913, 1916, 1894, None]
    monet = WikiArt(wikiart, artists=["claude-monet"])
    assert monet.names == ["Impressionism/claude-monet_water-lilies-1916.jpg", "Realism/claude-monet_hunting-trophies.jpg"]
    assert [work.title for work in monet.works] == ["water-lilies", "hunting-trophies"] and monet.load(0).shape[1] == 3
    assert len(WikiArt(wikiart, styles=["Impressionism", "Cubism"])) == 3
    assert len(WikiArt(wikiart, artists="claude-monet", styles="Realism")) == 1


def test_wikiart_that_is_wrong(wikiart, folder):
    with pytest.raises(SettingError, match="unknown artist 'Claude Monet': did you mean claude-monet"):
        WikiArt(wikiart, artists=["Claude Monet"])
    with pytest.raises(SettingError, match="unknown style 'impressionism': did you mean Impressionism"):
        WikiArt(wikiart, styles=["impressionism"])
    with pytest.raises(ImageError, match="nothing by pablo-picasso in Realism"):
        WikiArt(wikiart, artists=["pablo-picasso"], styles=["Realism"])
    with pytest.raises(ImageError, match="is no WikiArt folder"):
        WikiArt(folder)
    save(wikiart / "cover.jpg")
    with pytest.warns(UserWarning, match="1 of the 5 pictures .* left out: cover.jpg"):
        assert len(WikiArt(wikiart)) == 4


def test_streaming(monkeypatch):
    def load_dataset(name, split, streaming):
        assert streaming and split == "train"
        if name == "nowhere":
            raise ConnectionError("https://example.org/secret")
        key = "text" if name == "words" else "image"
        return ({key: picture} for picture in (Image.new("RGB", (40, 20), "red"), b"no picture", Image.new("L", (9, 18))))

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    with pytest.warns(UserWarning, match="picture 1 of huggan/wikiart is skipped"):
        assert [tuple(image.shape) for image in stream_wikiart(size=10)] == [(1, 3, 5, 10), (1, 3, 10, 5)]
    with pytest.raises(ImageError, match="cannot be streamed .ConnectionError.: check"):
        next(stream_wikiart("nowhere"))
    with pytest.raises(ImageError, match="words has no column 'image'"):
        next(stream_wikiart("words"))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(SettingError, match="pip install datasets"):
        stream_wikiart()


# Batches


def test_a_batch():
    batch = Batches(Ramps(), 16, 4)[0]
    assert batch.images.shape == (4, 3, 16, 16) and batch.images.dtype == torch.float32 and batch.guides is None
    assert 0 <= batch.images.min() and batch.images.max() <= 1
    assert batch.names == [f"ramp{round(blue.item() * 255)}" for blue in batch.images[:, 2].mean((1, 2))]


def test_squares_of_pictures_with_a_given_long_side_keep_their_scale():
    batches = Batches(Ramps(), 16, 4, long_side=30)  # half of what they have: red rises by 2 of 59 a pixel
    reds = torch.cat([batches[step].images[:, 0] for step in range(5)])
    assert reds.diff(dim=2).abs().mean((1, 2)).sub(2 / 59).abs().max() < 0.003
    assert reds.mean((1, 2)).std() > 0.05  # cut at several places
    low = Batches(Ramps(), 32, 1, long_side=30)[0].images[0]  # 20 pixels high only: the square is enlarged
    assert low[1].diff(dim=0).mean().item() == pytest.approx(1 / 32, abs=0.003)


def test_a_batch_depends_on_seed_and_step_alone():
    straight = [batch for batch, _ in zip(Batches(Ramps(), 16, 3, seed=5, guides=red).stream(), range(9))]
    fresh = Batches(Ramps(), 16, 3, seed=5, guides=red)
    assert all(equal(fresh[step], straight[step]) for step in (8, 2, 5, 2))
    resumed = [batch for batch, _ in zip(Batches(Ramps(), 16, 3, seed=5, guides=red).stream(6), range(3))]
    assert all(equal(a, b) for a, b in zip(resumed, straight[6:]))
    assert not torch.equal(Batches(Ramps(), 16, 3, seed=6)[0].images, straight[0].images)
    assert not torch.equal(straight[0].images, straight[1].images)


def test_every_epoch_shows_every_picture_once_in_a_new_order():
    batches = Batches(Ramps(7), 8, 3)
    seen = [name for step in range(14) for name in batches[step].names]
    epochs = [seen[i : i + 7] for i in range(0, 42, 7)]
    assert all(sorted(epoch) == batches.pictures.names for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 6


@settings(max_examples=10, deadline=None)
@given(ranks=st.sampled_from([1, 2, 3, 6]), step=st.integers(0, 10**6), seed=st.integers(0, 2**40))
def test_ranks_share_the_batch(ranks, step, seed):
    whole = Batches(Ramps(), 8, 6, seed=seed)[step]
    parts = [Batches(Ramps(), 8, 6, seed=seed, rank=rank, ranks=ranks)[step] for rank in range(ranks)]
    assert torch.equal(torch.cat([part.images for part in parts]), whole.images)
    assert [name for part in parts for name in part.names] == whole.names


@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    size=st.integers(1, 200), key=st.tuples(st.integers(0, 2**40), st.integers(0, 10**6)),
)  # fmt: skip
@settings(deadline=None)
def test_crops_stay_in_the_picture(shape, size, key):
    crop = draw(0, shape, size, key)
    short = min(shape)
    assert 0 <= crop.top <= shape[0] - crop.side and 0 <= crop.left <= shape[1] - crop.side
    assert min(short, max(size, round(0.6 * short))) <= crop.side <= short


def test_every_item_of_a_batch_has_its_own_crop():
    squares = Batches(Ramps(), 16, 7)[0].images[:, :2]
    assert all(not torch.equal(squares[i], squares[j]) for i in range(7) for j in range(i))


def test_crops_vary_and_half_are_mirrored():
    crops = [draw(0, (100, 150), 10, (1, step)) for step in range(400)]
    assert {crop.side for crop in crops} == set(range(60, 101)) and 160 < sum(crop.mirrored for crop in crops) < 240
    assert min(crop.left for crop in crops) < 5 and max(crop.left + crop.side for crop in crops) > 145


def test_take_by_hand():
    pixels = torch.arange(12, dtype=torch.uint8).view(1, 1, 3, 4) * 20
    wanted = torch.tensor([[[[20, 40], [100, 120]]]]) / 255
    assert torch.allclose(take(pixels, Crop(0, (3, 4), 0, 1, 2, False), 2), wanted)
    assert torch.allclose(take(pixels, Crop(0, (3, 4), 0, 1, 2, True), 2), wanted.flip(3))


@pytest.mark.parametrize("own", [True, False])
def test_the_guide_is_cut_like_the_picture(own):
    batches = Batches(Ramps(own=own), 20, 5, guides=red if not own else lambda image: 1 - red(image))
    slopes = set()
    for step in range(6):
        batch = batches[step]
        assert batch.guides.shape == (5, 1, 20, 20)
        assert (batch.guides - batch.images[:, :1]).abs().max() < 1.1 / 255
        slopes |= {(image[0, 0, -1] > image[0, 0, 0]).item() for image in batch.images}
    assert slopes == {True, False}  # mirrored and not


def test_a_guide_may_be_of_another_size_than_its_picture():
    batch = Batches(Ramps(height=400, width=600), 20, 4, guides=lambda image: images.resize(red(image), (40, 60)))[0]
    assert (batch.guides - batch.images[:, :1]).abs().max() < 0.02


def test_pictures_smaller_than_the_crop():
    assert Batches(Ramps(height=5, width=9), 16, 2)[0].images.shape == (2, 3, 16, 16)


def test_decoded_pictures_are_kept_up_to_a_limit(monkeypatch):
    pictures = Ramps(height=400, width=600)
    batches = Batches(pictures, 20, 7)
    for step in range(5):
        batches[step]
    assert pictures.loads == 7 and batches._cropper.store.used == 7 * 3 * 40 * 60
    monkeypatch.setattr("nstlab.data.batches.MEMORY", 20_000)
    less = Batches(Ramps(height=400, width=600), 20, 7)
    assert all(equal(less[step], batches[step]) for step in range(3))
    assert less._cropper.store.used <= 20_000 and less.pictures.loads == 3 * 7 - 2 * 2


def test_a_store_makes_what_does_not_fit_anew():
    store, made = Store(100), []
    for key in (1, 2, 1, 2, 3):
        store.get(key, lambda key=key: made.append(key) or torch.zeros(60, dtype=torch.uint8))
    assert made == [1, 2, 2, 3] and store.used == 60


def test_damaged_pictures_are_skipped_and_named(folder):
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:60])
    (folder / "e.bmp").write_bytes(b"")
    batches = Batches(Folder(folder), 16, 4)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        made = [batches[step] for step in range(6)]
    assert sorted(batches.skipped) == ["b.png", "e.bmp"]
    assert sorted(str(w.message).split()[1] for w in said) == [str(folder / "b.png"), str(folder / "e.bmp")]
    seen = [name for batch in made for name in batch.names]
    assert len(seen) == 24 and not {"b.png", "e.bmp"} & set(seen)
    assert {"a.jpg", "deep/d.webp", "deep/er/c.PNG", "f.tiff"} <= set(seen[:6])  # the good ones, once an epoch at least
    with pytest.warns(UserWarning, match="skipped"):
        assert equal(Batches(Folder(folder), 16, 4)[5], made[5])


def test_a_damaged_picture_is_tried_once(monkeypatch):
    pictures, tried = Ramps(), []

    def load(index):
        tried.append(index)
        if index == 3:
            raise ImageError("ramp3 is damaged")
        return Ramps().load(index)

    monkeypatch.setattr(pictures, "load", load)
    batches = Batches(pictures, 8, 7)
    with pytest.warns(UserWarning, match="skipped: ramp3 is damaged"):
        assert all("ramp3" not in batches[step].names for step in range(4))
    assert sorted(tried) == list(range(7)) and batches.skipped == ["ramp3"]


def test_all_damaged(folder):
    for path in Folder(folder).paths:
        path.write_bytes(b"nothing")
    with pytest.warns(UserWarning, match="skipped") as said, pytest.raises(ImageError, match="none of the 6 pictures can be"):
        Batches(Folder(folder), 16, 4)[0]
    assert len(said) == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 8}, "7 pictures are fewer than a batch of 8"),
        ({"batch": 0}, "batch 0"),
        ({"size": 0}, "size 0"),
        ({"seed": -1}, "seed -1"),
        ({"ranks": 4}, "a batch of 6 cannot be shared by 4 processes"),
        ({"ranks": 2, "rank": 2}, "rank 2 is not one of 2"),
        ({"workers": -1}, "workers -1"),
    ],
)
def test_numbers_that_do_not_fit(options, message):
    with pytest.raises(SettingError, match=message):
        Batches(Ramps(), **({"size": 16, "batch": 6} | options))


def test_workers_make_the_same_batches(folder):
    (folder / "b.png").write_bytes(b"damaged")
    alone, helped = (Batches(Folder(folder), 16, 4, guides=red, workers=workers) for workers in (0, 2))
    state = torch.get_rng_state()
    stream = helped.stream(3)
    with pytest.warns(UserWarning, match="skipped") as said:
        for step in range(3, 8):
            assert equal(next(stream), alone[step])
    stream.close()
    assert helped.skipped == alone.skipped == ["b.png"] and len(said) == 2
    assert torch.equal(torch.get_rng_state(), state)  # what the training is seeded by is left alone


def test_memory_stays_bounded():
    batches, process = Batches(Samples("painting"), 64, 4), psutil.Process()
    for step in range(40):
        batches[step]
    gc.collect()
    before = process.memory_info().rss
    for step in range(40, 160):
        batches[step]
    assert process.memory_info().rss < 1.05 * before


def test_scenes_are_pictures_with_their_nearness():
    scenes = Scenes(range(5, 12), 24)
    batch = Batches(scenes, 24, 7)[0]  # without a function for guides
    for image, guide, name in zip(batch.images, batch.guides, batch.names, strict=True):
        drawn = scene(int(name.split()[1].rstrip(",")), 24)
        flips = [(drawn.image, drawn.nearness), (drawn.image.flip(3), drawn.nearness.flip(3))]
        gaps = [max((image - one[0]).abs().max(), (guide - other[0]).abs().max()).item() for one, other in flips]
        assert min(gaps) < 0.51 / 255
    assert scenes.fingerprint() != Scenes(range(5, 12), 25).fingerprint()


def test_repeated_pictures_are_enough_for_a_batch():
    pictures = Repeated(Ramps(own=True), 10)
    assert len(pictures) == 14 and torch.equal(pictures.load(9), Ramps().load(2))
    assert torch.equal(pictures.guide(9), Ramps(own=True).guide(2)) and pictures.digest(9) == Ramps().digest(2)
    batch = Batches(pictures, 8, 14)[0]
    assert sorted(batch.names) == sorted(Ramps().names * 2)


# Guides on disk


class Counted:
    """A guide function that counts its calls."""

    def __init__(self, power=1):
        self.power, self.calls = power, 0

    def __call__(self, image):
        self.calls += 1
        return red(image) ** self.power


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NSTLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "guides"


def test_a_guide_is_made_once(folder, cache):
    first, again, other = Counted(), Counted(), Counted(power=3)
    made = Batches(Folder(folder), 16, 6, guides=first)
    batches = [made[step] for step in range(3)]
    assert first.calls == 6 + 1 and len(list(cache.iterdir())) == 6  # and one for the sample by which it is known
    later = Batches(Folder(folder), 16, 6, guides=again)
    assert all(equal(later[step], batch) for step, batch in enumerate(batches)) and again.calls == 1
    larger = Batches(Folder(folder), 32, 6, guides=again)  # another crop size, the same guides
    assert larger[0].guides.shape[-1] == 32 and again.calls == 2
    assert not torch.equal(Batches(Folder(folder), 16, 6, guides=other)[0].guides, batches[0].guides)
    assert other.calls == 7 and len(list(cache.iterdir())) == 12


def test_lambdas_are_told_apart(folder, cache):
    pictures = Folder(folder)
    one, two = (Guides(pictures, function) for function in (lambda image: image[:, :1], lambda image: image[:, 1:2]))
    assert one.get(0, (4, 4)).float().mean() != two.get(0, (4, 4)).float().mean()
    assert one.known_by.startswith("test_lambdas_are_told_apart") and one.known_by != two.known_by


def test_another_picture_of_the_same_name_has_another_guide(folder, cache):
    before = Guides(Folder(folder), red).get(0, (4, 4))
    shutil.copy(folder / "f.tiff", folder / "a.jpg")
    assert not torch.equal(Guides(Folder(folder), red).get(0, (4, 4)), before)


def test_a_damaged_guide_is_made_anew(folder, cache):
    before = Guides(Folder(folder), red).get(0, (30, 40))
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:50])
    function = Counted()
    assert torch.equal(Guides(Folder(folder), function).get(0, (30, 40)), before) and function.calls == 2
    assert len(list(cache.iterdir())) == 2  # the name of the function counts, so red's is damaged still
    assert torch.equal(Guides(Folder(folder), red).get(0, (30, 40)), before)
    assert file.stat().st_size > 50


def test_a_cache_that_cannot_be_written_is_no_obstacle(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("NSTLAB_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="cannot be kept"):
        assert Guides(Folder(folder), red).get(0, (8, 9)).shape == (1, 1, 8, 9)


def test_large_pictures_are_guided_at_a_bounded_size(cache):
    seen = []
    guides = Guides(Ramps(height=700, width=1400), lambda image: seen.append(tuple(image.shape[-2:])) or red(image))
    assert guides.get(0, (70, 140)).shape == (1, 1, 70, 140) and sorted(seen) == [(96, 96), (256, 512)]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda image: image, r"tensor \(N, 1, H, W\), not .*\(1, 3, "),
        (lambda image: 3, "not int"),
        (lambda image: image[:, :1] * 9, "has values from"),
        (lambda image: image[:, :1] * np.nan, "not numbers"),
    ],
)
def test_what_is_no_map(function, message, cache):
    with pytest.raises(SettingError, match=message):
        Batches(Ramps(), 8, 2, guides=function)[0]


def test_bytes_are_rounded():
    assert to_bytes(torch.tensor([0, 0.5 / 255 + 1e-4, 0.999, 1])).tolist() == [0, 1, 255, 255]
