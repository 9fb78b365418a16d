"""What the benchmarks judge by: distances, strokes, a classifier that must not live on colour, and when it has no say."""

import io
import sys
from pathlib import Path

import pytest
import torch

from nstlab import images, metrics
from nstlab.color import luminance
from nstlab.data import Samples
from nstlab.errors import NstlabError

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
import judging
import networks
import one_pass
import realism
import room


def test_distance_is_that_from_the_nearest_size_of_the_painting():
    """By hand: (3 - 1)^2 / 1 = 4 and (3 - 2)^2 / 4 = 1/4 on one layer, 0 on the other; means 2 and 1/8."""
    found = {"a": torch.tensor(3.0), "b": torch.tensor(1.0)}
    goals = [{"a": torch.tensor(1.0), "b": torch.tensor(1.0)}, {"a": torch.tensor(2.0), "b": torch.tensor(1.0)}]
    assert judging.distance(found, goals, ("a", "b")) == pytest.approx(1 / 8)
    assert judging.distance(found, goals[:1], ("a", "b")) == pytest.approx(2)


def test_means_leave_out_rows_without_the_measure():
    rows = [{"what": "x", "n": 1, "photo": "p"}, {"what": "x", "n": 3, "m": 5}, {"what": "y", "n": 7}]
    assert judging.means(rows) == {"x": {"n": 2, "m": 5}, "y": {"n": 7}}


def test_a_photo_by_itself_is_kept_whole_and_a_painting_is_at_no_distance():
    judge, scene = judging.Judge(128), judging.Scene("astronaut", 128)
    plain = (scene.photo + 0.2 * torch.rand(scene.photo.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    row = judge(scene.photo, scene, "starry-night", plain)
    assert row["deep"] == 0 and row["structure"] == pytest.approx(1, abs=1e-4) and row["bare"] == pytest.approx(1)
    seen = judge.likeness(scene.photo, scene)
    assert seen["faces"] == seen["faces_found"] == 1 and seen["face"] == 0
    painting = images.load("starry-night", 128)
    same = judging.grams(judge.encoder, painting)
    assert judging.distance(same, judge.paintings("starry-night"), metrics.UNUSED_STYLE_LAYERS) == pytest.approx(0, abs=1e-6)
    alike = metrics.style_distance(judge.encoder, scene.photo, painting)
    assert row["style_distance"] <= alike * 1.001  # as the metric has it, at one of three sizes


def test_plain_style_transfer_is_kept_for_the_next_time(tmp_path, monkeypatch):
    painted = []

    def stylize(content, style, **options):
        painted.append(options)
        return type("Result", (), {"image": torch.rand(1, 3, 8, 8)})

    monkeypatch.setattr(judging, "stylize", stylize)
    monkeypatch.setattr(judging, "cache_dir", lambda: tmp_path)
    first = judging.plainly_painted("cat", "great-wave", 64, 3)
    assert torch.equal(judging.plainly_painted("cat", "great-wave", 64, 3), first) and len(painted) == 1
    judging.plainly_painted("cat", "great-wave", 64, 4)
    judging.plainly_painted("cat", "starry-night", 64, 3)
    assert len(painted) == 3 and painted[0] == {"system": "gatys", "size": 64, "steps": 3}


def test_published_architecture_has_its_size_and_gives_a_picture():
    """3.5 million weights each way: VGG-19 to relu4_1 with its 1x1 convolution, and the decoder that mirrors it."""
    network = one_pass.Published()
    widths = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), *[(256, 256)] * 3, (256, 512)]
    assert sum(weight.numel() for weight in network.encoder.parameters()) == 12 + sum(9 * a * b + b for a, b in widths)
    assert sum(weight.numel() for weight in network.decoder.parameters()) == sum(9 * a * b + a for a, b in widths)
    assert network(torch.rand(1, 3, 64, 48), torch.rand(1, 3, 32, 32)).shape == (1, 3, 64, 48)


def test_wins_are_counted_by_painting():
    row = lambda what, painting, far: {"what": what, "painting": painting, "style_distance": far}
    rows = [row("a", "p", 1), row("a", "p", 4), row("b", "p", 2), row("b", "p", 2), row("a", "q", 1), row("b", "q", 2)]
    assert one_pass.wins(rows, "a", "b") == 1 and one_pass.wins(rows, "b", "a") == 1
    assert one_pass.wins(rows, "a", "c") is None


def test_squares_without_palette_keep_their_strokes():
    squares = images.load("cat", (48, 48)).expand(40, -1, -1, -1)
    changed = realism.without_palette(squares, torch.Generator().manual_seed(0))
    saturation = (changed.amax(1) - changed.amin(1)).mean((1, 2))
    assert 10 <= (saturation < 1e-4).sum() <= 30  # about half are grey
    hues = (changed[:, 0] - changed[:, 2]).mean((1, 2))[saturation > 1e-4]
    assert hues.min() < -0.03 and hues.max() > 0.03
    flat = torch.cat([luminance(changed).flatten(1), luminance(squares[:1]).flatten(1)])
    assert torch.corrcoef(flat)[-1].min() > 0.8


def test_a_classifier_cannot_live_on_colour(monkeypatch):
    """The same texture in red and in blue are all one to it; another texture is not."""
    for name, value in {"SIDE": 40, "BATCH": 6}.items():
        monkeypatch.setattr(realism, name, value)
    rng = torch.Generator().manual_seed(0)
    fine = lambda: torch.rand(1, 1, 80, 80, generator=rng)
    red, blue = torch.tensor([1.0, 0.3, 0.2]).view(1, 3, 1, 1), torch.tensor([0.2, 0.3, 1.0]).view(1, 3, 1, 1)
    coarse = images.resize(fine().expand(-1, 3, -1, -1), (20, 20))
    alike = realism.learned([red * fine()], [blue * fine()], 25, 0)
    assert abs(realism.taken(alike, [red * fine()]) - realism.taken(alike, [blue * fine()])) < 40
    other = realism.learned([red * fine()], [images.resize(coarse, (80, 80))], 25, 0)
    assert realism.taken(other, [blue * fine()]) - realism.taken(other, [images.resize(coarse, (80, 80))]) > 60


def test_a_classifier_that_is_not_to_be_trusted_has_no_say(monkeypatch):
    monkeypatch.setattr(realism, "learned", lambda *about: None)
    pictures, painted = Samples("photo", ["cat"]), {"network": [torch.zeros(1, 3, 8, 8)]}
    said = iter([90, 85, 5, 10, 60, 55])  # paintings held back, in grey; photos, in grey; the network's, in grey
    monkeypatch.setattr(realism, "taken", lambda classifier, shown: next(said))
    found = realism.verdict(painted, pictures, pictures, seeds=1)
    assert found["trusted"] and found["taken"]["network"] == 60 and found["taken"]["network in grey"] == 55
    for grey, photos in ((79, 10), (100, 51)):
        said = iter([90, grey, 5, photos, 60, 55])
        found = realism.verdict(painted, pictures, pictures, seeds=1)
        assert not found["trusted"] and found["taken"][realism.PAINTINGS + " in grey"] == grey
        assert not any("network" in name for row in (found["taken"], *found["rows"]) for name in row)
        assert "network" not in realism.shown(found) and "no verdict" in realism.shown(found)
        assert set(realism.headline(found, "network", None).values()) == {None}


def test_what_is_judged_is_not_learned_from():
    paintings, photos = realism.learning_sets("samples", "samples", ["astronaut", "cat"])
    assert len(paintings) == 12 and len(photos) == 11 and not {"astronaut", "cat"} & set(photos.names)


def test_networks_are_found_by_name_and_know_their_paintings():
    with pytest.raises(NstlabError, match="conditonal"):
        networks.network("conditonal", None)
    found = networks.network("conditional", ["starry-night", "spring"])
    assert found.paintings == ("starry-night",) and found.options == {}
    by_file = networks.network(str(networks.SHIPPED / "conditional.safetensors"), None)
    assert by_file.system == "conditional" and "starry-night" in by_file.paintings
    assert networks.network("gatys", None).paintings == tuple(Samples("painting").names)


def test_faces_found_are_a_share_of_all_faces():
    rows = [{"what": "n", "faces": 3, "faces_found": 1, "bare": 0.0}, {"what": "n", "faces": 1, "faces_found": 1, "bare": 1.0}]
    assert networks.summary(rows, "n")["faces_found"] == 0.5 and networks.summary(rows, "n")["bare"] == 0.5
    assert networks.summary([{"what": "n", "faces": 0, "faces_found": 0}], "n")["faces_found"] is None


def test_a_visitor_notices_a_picture_of_somebody_else():
    visitor = room.Visitor(3, "http://127.0.0.1:1/", 0.0, paint=False)
    mine, theirs = room.Image.new("RGB", visitor.size, visitor.colour), room.Image.new("RGB", visitor.size, "white")
    other = room.Image.new("RGB", (200, 100), visitor.colour)
    for picture, side, foreign in ((mine, "before", 0), (theirs, "before", 1), (theirs, "after", 1), (other, "after", 2)):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        visitor.check({side: buffer.getvalue()})
        assert visitor.log.foreign == foreign
    state = {"items": [{"picture": None}]}
    room.put(state, ["items", 0, "picture"], b"x")
    assert state == {"items": [{"picture": b"x"}]}
