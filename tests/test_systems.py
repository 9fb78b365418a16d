import pytest
import torch

import nstlab
from nstlab import color, images, metrics
from nstlab.errors import SettingError
from nstlab.guidance.faces import faces
from nstlab.guidance.importance import importance
from nstlab.systems import plan, preserve, stylize

QUICK = {"size": 64, "steps": 4}


def test_a_weight_multiplies_its_default(fast_encoder):
    a = plan("cat", "spring", **QUICK, encoder=fast_encoder)
    b = plan("cat", "spring", **QUICK, encoder=fast_encoder, weights={"style": 2})
    assert b.objective.weights["style"] == 2 * a.objective.weights["style"]
    assert b.objective.weights["content"] == a.objective.weights["content"]


def test_starts(fast_encoder):
    starts = {
        s: plan("cat", "spring", **QUICK, seed=1, start=s, encoder=fast_encoder).start for s in ("content", "noise", "style")
    }
    assert torch.equal(starts["content"], images.load("cat", 64)) and starts["noise"].std() > 0.2
    assert torch.equal(starts["noise"], plan("cat", "spring", **QUICK, seed=1, start="noise", encoder=fast_encoder).start)
    assert not torch.equal(starts["noise"], plan("cat", "spring", **QUICK, seed=2, start="noise", encoder=fast_encoder).start)
    assert len({tuple(start.shape) for start in starts.values()}) == 1
    goes_on = plan("cat", "spring", **QUICK, start=starts["style"], encoder=fast_encoder)
    assert torch.equal(goes_on.start, starts["style"])


def test_luminance_keeps_the_photos_chroma(fast_encoder):
    photo = images.load("citrus-fruits", 64)
    result = stylize(photo, "great-wave", **QUICK, colors="luminance", encoder=fast_encoder).image
    inside = ((result > 0) & (result < 1)).all(1, keepdim=True)  # clipping is the only thing that changes it
    chroma = [image - color.luminance(image) for image in (photo, result)]
    assert ((chroma[0] - chroma[1]).abs() * inside).max() < 1e-5 and inside.float().mean() > 0.8


def test_matched_colours_are_nearer_to_the_photos(fast_encoder):
    photo = images.load("citrus-fruits", 64)
    means = {
        c: stylize(photo, "great-wave", size=64, steps=15, colors=c, encoder=fast_encoder).image.mean((2, 3))
        for c in ("style", "match")
    }
    target = photo.mean((2, 3))
    assert (means["match"] - target).norm() < (means["style"] - target).norm()


def test_a_stopped_run_has_a_full_sized_picture(fast_encoder):
    run = plan("cat", "spring", size=256, steps=10, levels=3, encoder=fast_encoder)
    assert run.steps == 10
    with pytest.raises(SettingError, match="no picture yet"):
        run.result()
    for step in run:
        if step.index == 2:
            break
    assert step.scale == 64 and run.result().image.shape == (1, 3, 170, 256) and len(run.result().history) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"system": "gatis"}, "did you mean gatys"),
        ({"weights": {"styl": 1}}, "did you mean style"),
        ({"weights": {"style": float("nan")}}, "finite number"),
        ({"colors": "luminanc"}, "did you mean luminance"),
        ({"steps": 0}, "steps 0"),
        ({"size": -5}, "size -5"),
        ({"content_layers": ("relu9_1",)}, "relu"),
    ],
)
def test_bad_settings(options, message, fast_encoder):
    with pytest.raises(SettingError, match=message):
        stylize("cat", "spring", **(QUICK | {"encoder": fast_encoder} | options))


def test_a_size_that_does_not_fit_is_refused_before_the_start(fast_encoder, monkeypatch):
    monkeypatch.setattr("nstlab.systems.pixel.available_memory", lambda device: 1_000_000_000)
    with pytest.raises(
        SettingError, match=r"size 4096: it would take about .* the largest size that fits is about (\d+)"
    ) as error:
        plan("astronaut", "spring", size=4096, steps=2, encoder=fast_encoder)
    fits = int(str(error.value).split()[-1])
    assert 200 < fits < 1000
    plan("astronaut", "spring", size=fits - 1, steps=2, encoder=fast_encoder)


def test_short_names():
    assert nstlab.stylize is stylize and nstlab.load_encoder and nstlab.Objective
    with pytest.raises(AttributeError):
        nstlab.nothing


def test_preserve_keeps_what_the_guide_marks(fast_encoder):
    photo = images.load("coffee", 96)
    guide = torch.zeros(1, 1, *photo.shape[-2:])
    guide[..., 16:48, 24:72] = 1
    kept = stylize(photo, "great-wave", size=96, steps=15, encoder=fast_encoder, system="preserve", guide=guide)
    plain = stylize(photo, "great-wave", size=96, steps=15, encoder=fast_encoder)
    assert kept.settings["guide"] == "image" and kept.notes == ["guide: a map of yours"]
    assert metrics.structure(kept.image, photo, guide) > 0.05 + metrics.structure(plain.image, photo, guide)
    assert metrics.color_distance(kept.image, photo) > 0.3  # and yet it is painted
    assert metrics.painted_inside(metrics.stroke_share(kept.image, photo, plain.image), guide)[0] > 0.25  # not bare


def test_small_faces_are_held_finer():
    photo = images.load("astronaut", 256)
    guide = importance(photo)
    box = faces(photo)[0]
    middle = (..., round(box.top + box.height / 2), round(box.left + box.width / 2))
    assert preserve.finer_places(photo, guide, 1 / 1000) == []
    places = preserve.finer_places(photo, guide, 1 / 20)
    assert (len(places), places[0][1]) == (len(faces(photo)), pytest.approx(box.height / preserve.FACE / 256))
    assert places[0][0][middle] > 0.9 and places[0][0][..., 200, 100] == 0  # her face, not her suit


def test_preserve_runs_again_from_its_settings(tmp_path, fast_encoder):
    images.save(torch.zeros(1, 3, 60, 90).index_fill(3, torch.arange(30, 60), 1.0), tmp_path / "guide.png")
    result = stylize("coffee", "great-wave", **QUICK, system="preserve", guide=tmp_path / "guide.png", k=5.0)
    written = images.metadata(result.save(tmp_path / "a.png"))
    assert any("resized from 90 x 60" in note for note in written["notes"])
    again = dict(written["settings"])
    remade = stylize(again.pop("content"), again.pop("styles"), **again)
    assert torch.equal(remade.image, result.image) and remade.settings == result.settings
    default = plan("coffee", "great-wave", **QUICK, system="preserve", encoder=fast_encoder)
    assert default.settings["guide"] is None and "importance: faces" in " ".join(default.notes)


def test_a_run_that_was_stopped_says_so(fast_encoder):
    run = plan("cat", "great-wave", size=32, steps=4, levels=1, encoder=fast_encoder)
    steps = iter(run)
    next(steps), next(steps)
    assert run.result().notes[-1] == "stopped at step 1 of 4: the settings are those of the whole run"
    assert not any("stopped" in note for note in run.finish().notes)
