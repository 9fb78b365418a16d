"""Draft and revisions: the network, its training, and the photos kept apart to judge it by."""

import hashlib
import json
import shutil

import pytest
import torch
from tiny import Poisoned, small, tiny

from nstlab import images, pyramid
from nstlab.data import Coco, Files, Joined, Samples, kept_apart, leave_out
from nstlab.encoders import load_encoder
from nstlab.errors import DivergedError, SettingError, WeightsError
from nstlab.feature_transforms import AdaIN
from nstlab.networks import PatchDiscriminator, RevisionNet, load_decoder
from nstlab.networks.revision import DRAFT_SIDE, LAYER, STYLE_SIDE
from nstlab.systems.checkpoint import build
from nstlab.training.augment import varied
from nstlab.training.revision import means

SMALL = {"widths": (4, 8), "blocks": 1}


@pytest.fixture(scope="module")
def decoder():
    return load_decoder(load_encoder("pocket", precision="fp32", device="cpu"), kind="adain")


@pytest.fixture
def fresh(decoder):
    """A network of two paintings whose revisions add nothing yet."""
    torch.manual_seed(0)
    made = RevisionNet(2, **SMALL, decoder=decoder.options)
    made.draft.learn(decoder, [images.load(small(name)) for name in ("starry-night", "great-wave")])
    return made


@pytest.mark.parametrize("size", [(64, 64), (37, 50)])
def test_fresh_revisions_show_the_draft_enlarged(fresh, size):
    image, blend = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1)), torch.tensor([1.0, 0.0])
    draft, middle, final = fresh.forward_all(image, blend)
    bands = pyramid.laplacian_pyramid(image, 3)
    torch.testing.assert_close(draft, fresh.draft(bands[-1], blend[None]))
    nothing = [torch.zeros_like(band) for band in bands[:-1]]
    torch.testing.assert_close(middle, pyramid.reconstruct([nothing[1], draft]))
    torch.testing.assert_close(final, pyramid.reconstruct([*nothing, draft]))
    assert torch.equal(fresh(image, blend), final) and not torch.equal(fresh(image, 1 - blend), final)


def test_a_revision_adds_its_band_to_the_draft_and_sees_the_whole_photo(fresh):
    """With the last convolution's bias alone, which goes through tanh, the band is the same everywhere."""
    image, seen = torch.rand(1, 3, 32, 48), []
    for revision in fresh.revisions:
        revision.core.register_forward_hook(lambda core, given, out: seen.append(given[0]))
    torch.nn.init.constant_(fresh.revisions[1].core.last.bias, -0.1)
    _, middle, final = fresh.forward_all(image, torch.tensor([0.5, 0.5]))
    wanted = pyramid.upsample(middle, (32, 48)) - torch.tanh(torch.tensor(0.1))
    torch.testing.assert_close(final, wanted.clamp(0, 1))
    half = pyramid.downsample(image)
    for at_this_scale, given in zip((half, image), seen, strict=True):
        torch.testing.assert_close(given[:, :3] + given[:, 3:6], at_this_scale)  # the band, and what is coarser


def test_the_draft_is_adain(fresh, decoder):
    encoder, photo = load_encoder("pocket", precision="fp32", device="cpu"), images.load("cat", 48)
    painting = images.resize(images.load(small("great-wave")), STYLE_SIDE)
    ours, theirs = (encoder(each, (LAYER,))[LAYER] for each in (photo, painting))
    wanted = decoder(AdaIN()(ours, theirs), LAYER, tuple(photo.shape[-2:]))["image"].clamp(0, 1)
    torch.testing.assert_close(fresh.draft(photo, torch.tensor([[0.0, 1.0]])), wanted, atol=1e-4, rtol=1e-4)


def test_larger_pictures_are_revised_once_more_by_the_last_revision(fresh):
    first, last = fresh.revisions
    for size, wanted in (((512, 512), 2), ((300, 768), 2), ((1024, 700), 3), ((64, 64), 2)):
        found = fresh.stages(size)
        assert len(found) == wanted and found[0] is first and all(each is last for each in found[1:])
        assert max(size) / 2 ** len(found) <= 1.5 * DRAFT_SIDE
    assert fresh.scales == 3 and len(fresh.forward_all(torch.rand(1, 3, 800, 16), torch.tensor([1.0, 0.0]))) == 4


def test_what_the_network_refuses(fresh, decoder):
    for blend in ([1.0, 0.0, 0.0], None):
        with pytest.raises(SettingError, match="2 weights|network of 2 styles"):
            fresh(torch.rand(1, 3, 16, 16), blend)
    with pytest.raises(SettingError, match="scales 1"):
        RevisionNet(2, **SMALL, scales=1, decoder=decoder.options)
    other = {**decoder.options, "fingerprint": {**decoder.options["fingerprint"], "weights": "0" * 16}}
    with pytest.raises(WeightsError, match="features of pocket with other weights"):
        RevisionNet(2, **SMALL, decoder=other)(torch.rand(1, 3, 16, 16), [1.0, 0.0])


def test_a_critic_of_several_styles_judges_by_the_style():
    """By hand: what all styles share, and a channel of the style's own."""
    critic, image = PatchDiscriminator(layers=1, width=4, norm="none", styles=3), torch.rand(2, 3, 16, 16)
    plain = PatchDiscriminator(layers=1, width=4, norm="none")
    state = critic.state_dict()
    last = "convs.2.weight", "convs.2.bias"
    state |= {name: state[name][:1] + state[name][2:3] for name in last}  # style 1
    plain.load_state_dict(state)
    torch.testing.assert_close(critic(image, torch.tensor([1, 1]))[0], plain(image)[0])
    assert not torch.allclose(critic(image, torch.tensor([1, 2]))[0][1], plain(image)[0][1])
    for wrong in (None, torch.tensor([0, 3]), torch.tensor([-1, 0])):
        with pytest.raises(SettingError, match="styles 0 to 2"):
            critic(image, wrong)


def test_means_forget_where_a_feature_was():
    features = torch.rand(2, 5, 7, 9)
    moved = features.roll((2, 3), (2, 3))
    torch.testing.assert_close(means([features]), means([moved]))
    assert means([features])[0].shape == (2, 5, 1, 1)


def test_photos_are_varied_with_their_guides_and_the_same_each_time():
    ramp = torch.linspace(0, 1, 32).view(1, 1, 1, -1).expand(40, 3, 32, -1)
    photo, guides = varied(ramp, ramp[:, :1], list(range(40)))
    again, _ = varied(ramp, None, list(range(40)))
    assert torch.equal(photo, again) and photo.shape == ramp.shape and 0 <= photo.min() and photo.max() <= 1
    near = [n for n in range(40) if not torch.equal(guides[n], ramp[n, :1])]
    looks = [n for n in range(40) if n not in near and not torch.equal(photo[n], ramp[n])]
    assert 5 <= len(near) <= 25 and 3 <= len(looks) <= 25
    for n in near:  # an enlarged part has a gentler slope, and the guide shows the same part
        assert (guides[n][..., -1] - guides[n][..., 0]).max() < 0.99
    plain = [n for n in near if torch.allclose(photo[n].mean(0), photo[n, 0], atol=1e-5)]
    assert plain and any(torch.allclose(photo[n, :1], guides[n], atol=1e-5) for n in plain)


@pytest.fixture
def coco_set(tmp_path):
    """Eight samples as photos of MS-COCO, people outlined in three of them."""
    names = ["astronaut", "cat", "coffee", "rocket", "citrus-fruits", "dandelions", "honey-bee", "two-dogs"]
    (tmp_path / "photos").mkdir()
    info, things = [], []
    for number, name in enumerate(names, 1):
        shutil.copy(small(name), tmp_path / "photos" / f"{name}.png")
        height, width = images.load(small(name)).shape[-2:]
        info.append({"id": number, "file_name": f"{name}.png", "height": height, "width": width})
        box = [0, 0, 20, 0, 20, 20, 0, 20]
        kind = 1 if number <= 3 else 2
        things.append({"id": number, "image_id": number, "category_id": kind, "segmentation": [box], "iscrowd": 0, "area": 400})
    known = {"images": info, "annotations": things, "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "cat"}]}
    (tmp_path / "instances.json").write_text(json.dumps(known))
    return tmp_path / "photos", tmp_path / "instances.json"


def test_photos_are_kept_apart_by_their_hash_a_quarter_with_people(coco_set):
    pictures = Coco(*coco_set)
    assert [pictures.shows_people(number) for number in range(8)] == [
        name in ("astronaut.png", "cat.png", "coffee.png") for name in pictures.names
    ]
    rest, apart = kept_apart(pictures, 4)
    assert (len(rest), len(apart)) == (4, 4) and not set(rest.names) & set(apart.names)
    digest = {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in zip(pictures.names, pictures.paths, strict=True)
    }
    people = sorted(pictures.names[:3], key=digest.get)[:1]
    others = sorted(pictures.names[3:], key=digest.get)[:3]
    assert set(apart.names) == {*people, *others}
    assert [apart.shows_people(number) for number in range(4)].count(True) == 1 and apart.guide(0) is not None
    turned = Files([f"x{n}" for n in reversed(pictures.names)], pictures.paths[::-1])
    _, plain = kept_apart(turned, 4)  # other names, another order, and nothing known of people
    assert {path.name for path in plain.paths} == set(sorted(pictures.names, key=digest.get)[:4])
    with pytest.raises(SettingError, match="validation 8: of 8 pictures some must be left"):
        kept_apart(pictures, 8)


def test_joined_sets_keep_their_outlines(coco_set):
    pictures = Joined([Samples("photo", ["rocket"]), Coco(*coco_set)])
    assert len(pictures) == 9 and pictures.guide(0) is None and pictures.guide(1).max() == 1
    taken = pictures.take([2, 0, 8])
    assert taken.names == [pictures.names[n] for n in (2, 0, 8)] and taken.guide(1) is None
    assert torch.equal(taken.guide(0), pictures.guide(2)) and taken.shows_people(0) and not taken.shows_people(2)


def test_photos_kept_apart_never_enter_training(coco_set, tmp_path):
    """Nor does a copy of one under another name and in another size."""
    folder, annotations = coco_set
    _, apart = kept_apart(Coco(folder, annotations), 2)
    copy = tmp_path / "copies"
    copy.mkdir()
    for number, path in enumerate(apart.paths):
        images.save(images.resize(images.load(path), 60), copy / f"copy-{number}.png")
    made = tiny("lapstyle", tmp_path / "run", content=[folder, copy], annotations=annotations, validation=2, steps=6)
    written = (tmp_path / "run" / "validation.txt").read_text().splitlines()
    assert written == [str(path) for path in apart.paths]
    stream, seen = made._streams(32)[0], set()
    for _ in range(12):
        seen |= set(next(stream).names)
    stay = set(Coco(folder, annotations).names) - set(apart.names)
    assert seen == stay and made.settings["pictures"] == 6
    assert leave_out(made._pictures[0], apart)[1] is None


def test_guides_are_outlines_and_nothing_elsewhere(coco_set):
    made = tiny("lapstyle", content=[coco_set[0], small("fig-in-a-bowl")], annotations=coco_set[1], batch=9)
    batch = next(made._streams(32)[0])
    marked = {name: float(guide.max()) for name, guide in zip(batch.names, batch.guides, strict=True)}
    assert marked["fig-in-a-bowl.png"] == 0 and max(marked.values()) == 1


def test_a_training_makes_the_losses_fall():
    made = tiny("lapstyle", steps=24, lr=0.01, task={"warmup_steps": 100})
    frozen = {name: value.clone() for name, value in made.task.generator.draft.state_dict().items()}
    totals = [step.total for step in made]
    assert sum(totals[-6:]) < 0.9 * sum(totals[:6])
    assert all(torch.equal(value, frozen[name]) for name, value in made.task.generator.draft.state_dict().items())


def test_each_photo_is_painted_like_the_painting_beside_it():
    made = tiny("lapstyle", batch=4)
    _, paintings = (next(stream) for stream in made._streams(32))
    names = made.task.info["styles"]
    found = made.task._shown(paintings).tolist()
    assert [names[number] for number in found] == [name.split("/")[-1].removesuffix(".png") for name in paintings.names]
    with pytest.raises(SettingError, match="leave out --real"):
        list(tiny("lapstyle", real=small("spring")))


def test_not_a_number_stops_it(tmp_path):
    training = tiny("lapstyle", tmp_path, encoder=Poisoned(4 + 4 * 3))
    with pytest.raises(DivergedError, match="the last good weights are kept"):
        list(training)
    assert training.done == 2 and all(value.isfinite().all() for value in training.task.generator.state_dict().values())


def test_the_network_comes_back_from_its_description(fresh, decoder):
    from nstlab.systems.checkpoint import describe

    described = json.loads(json.dumps(describe("RevisionNet", ["a", "b"], {**SMALL, "decoder": decoder.options})))
    again = build(described, "here")
    again.load_state_dict(fresh.state_dict())
    image = torch.rand(1, 3, 24, 24)
    assert torch.equal(again(image, [0.5, 0.5]), fresh(image, [0.5, 0.5])) and again.styles == 2
