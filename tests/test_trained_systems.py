import json

import pytest
import torch
from tiny import NETWORKS, TinyEncoder, tiny

from nstlab import color, images
from nstlab.errors import SettingError, WeightsError
from nstlab.systems import checkpoint, onnx, plan, registry, stylize
from nstlab.systems import trained as trained_protocol
from nstlab.systems.checkpoint import slim
from nstlab.systems.trained import load_generator
from nstlab.training import checkpoints

TRAINED = [name for name in registry.trainable() if registry.load(name).styles == "learned"]
EXACT = {"precision": "fp32", "device": "cpu"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The checkpoint of a short training of each system."""
    folders = {system: tmp_path_factory.mktemp(system) for system in TRAINED}
    for system, folder in folders.items():
        list(tiny(system, folder, steps=12, task={"warmup_steps": 6} if registry.load(system).critic else None))
    return {system: folder / "last.safetensors" for system, folder in folders.items()}


@pytest.mark.parametrize("system", ["conditional", "multiscale_gan", "lapstyle"])
def test_blends(system, trained):
    def paint(styles, blend=None):
        return stylize("cat", styles, system=system, checkpoint=trained[system], size=48, blend=blend, **EXACT).image

    first, second, half = paint("starry-night"), paint("great-wave"), paint(["starry-night", "great-wave"], [0.5, 0.5])
    assert torch.allclose(paint(["starry-night", "great-wave"], [1, 0]), first, atol=1e-6)
    assert torch.allclose(paint(["great-wave", "starry-night"], [1, 0]), second, atol=1e-6)
    assert torch.allclose(paint(["great-wave", "starry-night"]), half, atol=1e-6)
    assert torch.equal(paint([]), first) and torch.equal(paint("pictures/starry-night.jpg"), first)
    distance = lambda a, b: (a - b).abs().mean().item()
    assert 0 < max(distance(half, first), distance(half, second)) < distance(first, second)


def test_the_average_paints(trained):
    painter = load_generator("johnson", trained["johnson"], **EXACT)
    tensors, _ = checkpoints.read(trained["johnson"])
    assert torch.equal(painter.network.core.last.weight, tensors["ema.core.last.weight"])
    assert not torch.equal(tensors["generator.core.last.weight"], tensors["ema.core.last.weight"])


def test_colours_of_the_photo(trained):
    photo = images.load("citrus-fruits", 48)
    run = plan(photo, system="johnson", checkpoint=trained["johnson"], size=48, **EXACT)
    with pytest.raises(SettingError, match="no picture yet"):
        run.result()
    painted = run.finish().image
    kept = stylize(photo, system="johnson", checkpoint=trained["johnson"], size=48, colors="luminance", **EXACT).image
    assert torch.allclose(kept, color.with_luminance(photo, color.luminance(painted)).clamp(0, 1), atol=1e-6)
    assert run.steps == len(run.schedule) == len(run.history) == 1


def test_slim_paints_the_same_in_half_the_bits(trained, tmp_path):
    for system, path in trained.items():
        small = slim(path, tmp_path / f"{system}.safetensors")
        assert small.stat().st_size < 0.25 * path.stat().st_size and b"tiny/cat.png" not in small.read_bytes()
        pictures = [stylize("cat", system=system, checkpoint=file, size=48, **EXACT).image for file in (path, small)]
        assert (pictures[0] - pictures[1]).abs().max() < 0.01
        assert slim(small, tmp_path / "again.safetensors").read_bytes() == small.read_bytes()
    with pytest.raises(WeightsError, match="cannot be written"):
        slim(path, tmp_path / "missing" / "x.safetensors")


def test_the_network_is_built_as_it_was_even_if_defaults_change(trained):
    described = checkpoints.read(trained["conditional"])[1]["network"]
    assert described["norm"] == "instance" and described["widths"] == [4, 8] and described["upsampling"] == "nearest"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"styles": "great-wav"}, "unknown style of last.safetensors 'great-wav': did you mean great-wave"),
        ({"styles": ["great-wave"], "blend": [1, 2]}, "2 weights for 1"),
        ({"blend": [-1]}, "weight"),
        ({"colors": "sepia"}, "unknown colors"),
        ({"size": 0}, "size 0"),
        ({"steps": 5}, "unknown option of conditional 'steps'"),
        ({"precision": "int8"}, "unknown precision"),
    ],
)
def test_bad_settings(options, message, trained):
    with pytest.raises(SettingError, match=message):
        stylize("cat", **({"styles": (), "system": "conditional", "checkpoint": trained["conditional"]} | options))


def test_checkpoints_that_do_not_fit(trained, tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="is a checkpoint of johnson, not of conditional"):
        stylize("cat", system="conditional", checkpoint=trained["johnson"])
    with pytest.raises(WeightsError, match="no such checkpoint"):
        stylize("cat", system="conditional", checkpoint=tmp_path / "none.safetensors")
    monkeypatch.setattr(trained_protocol, "SHIPPED", tmp_path)
    with pytest.raises(WeightsError, match=r"no checkpoint of johnson ships .*nstlab train johnson"):
        stylize("cat", system="johnson")
    tensors, info = checkpoints.read(trained["conditional"])
    bad = tmp_path / "bad.safetensors"
    for network, message in (
        ({"builder": "Mystery", "styles": []}, "cannot be built here"),
        ({"builder": "StyleNet"}, "cannot be built here"),
        (info["network"] | {"depth": 3}, "cannot be built here"),
        (info["network"] | {"widths": [4, 9]}, "another architecture"),
        (info["network"] | {"styles": ["one"]}, "another architecture"),
    ):
        checkpoints.write(bad, tensors, info | {"network": network})
        for use in (
            lambda: stylize("cat", system="conditional", checkpoint=bad),
            lambda: slim(bad, tmp_path / "s.safetensors"),
        ):
            with pytest.raises(WeightsError, match=message):
                use()
    assert not (tmp_path / "s.safetensors").exists()


def test_the_one_that_ships_is_found_by_its_system(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(trained_protocol, "SHIPPED", tmp_path)
    slim(trained["conditional"], tmp_path / "conditional.safetensors")
    result = stylize("cat", "great-wave", system="conditional", size=32)
    assert result.settings["checkpoint"] is None and result.image.shape[-1] == 32


def test_johnson_learns_one(tmp_path):
    with pytest.raises(SettingError, match="johnson learns one painting"):
        tiny("johnson", style=["starry-night", "great-wave"])
    for name in ("b", "a"):
        images.save(images.load("spring", 40), tmp_path / f"{name}.png")
    training = tiny("johnson", style=tmp_path)
    assert training.task.info["styles"] == ["a"] and "it learns a.png" in training.notes[0]


def test_a_training_makes_its_objective_fall():
    history = [step.total for step in tiny("johnson", steps=60, lr=0.01, encoder=TinyEncoder())]
    assert sum(history[-10:]) < 0.6 * sum(history[:10])


@pytest.mark.parametrize("system", ["conditional", "multiscale_gan"])
def test_it_begins_with_the_weights_of_another_and_blocks_of_its_own(system, trained, tmp_path):
    before = checkpoints.part(checkpoints.read(trained[system])[0], "ema")
    made = tiny(system, network=NETWORKS[system] | {"blocks": 3}, init_from=trained[system], lr=0.01)
    network = made.task.generator
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())
    photo, blend = images.load("cat", 48), torch.tensor([0.3, 0.7])
    painted = load_generator(system, trained[system], **EXACT)(photo, blend)
    with torch.no_grad():
        assert torch.equal(network(photo, blend), painted) and torch.equal(made.task.ema.module(photo, blend), painted)
    steps = checkpoints.read(trained[system])[1]["step"]
    assert made.settings["before"] == steps and made.settings["init_from"] == str(trained[system])
    next(iter(made))
    ends = [name for name in network.state_dict().keys() - before if name.endswith("norm.scale") and "first" not in name]
    assert len(ends) >= 2 and all(network.state_dict()[name].any() for name in ends)


def test_where_a_training_began_is_known_to_its_continuation(trained, tmp_path):
    first = tiny(folder=tmp_path, steps=2, init_from=trained["conditional"])
    list(first)
    more = tiny(folder=tmp_path, steps=4, resume=True)
    list(more)
    info = checkpoints.read(slim(more.checkpoint, tmp_path / "small.safetensors"))[1]
    assert info["step"] == 4 and info["settings"]["before"] == first.settings["before"] > 0 and info["settings"]["steps"] == 4


def test_what_a_training_cannot_begin_with(trained, tmp_path):
    with pytest.raises(SettingError, match="has system johnson, not conditional: start from one that has the same"):
        tiny("conditional", init_from=trained["johnson"])
    with pytest.raises(SettingError, match="has styles .*great-wave.*, not .*spring"):
        tiny("conditional", style=["spring", "great-wave"], init_from=trained["conditional"])
    with pytest.raises(WeightsError, match="is of another architecture"):
        tiny("conditional", network={"widths": (4, 9), "blocks": 1}, init_from=trained["conditional"])
    with pytest.raises(WeightsError, match="no such checkpoint"):
        tiny("conditional", init_from=tmp_path / "none.safetensors")


def test_onnx_paints_the_same_at_any_size(trained, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    path = onnx.export_onnx(trained["conditional"], tmp_path / "x.onnx", 64)
    session = runtime.InferenceSession(str(path))
    said = json.loads(session.get_modelmeta().custom_metadata_map["nstlab"])
    assert said == {"styles": ["starry-night", "great-wave"], "multiple": 4}
    painter = load_generator("conditional", trained["conditional"], **EXACT)
    for size, blend in (((64, 64), [0.0, 1.0]), ((48, 100), [0.3, 0.7])):
        photo = images.load("cat", size)
        found = session.run(None, {"image": photo.numpy(), "blend": torch.tensor(blend).numpy()})[0]
        assert torch.allclose(torch.from_numpy(found), painter(photo, torch.tensor(blend)), atol=1e-3)
    assert [file.name for file in tmp_path.iterdir()] == ["x.onnx"]


def test_what_becomes_an_onnx_file_paints_the_same_at_any_size(trained, system="lapstyle"):
    """The first half of the way to such a file, and the one in which something may get stuck to a size."""
    tensors, info = checkpoints.read(trained[system])
    network, arguments, shapes, names, about = onnx._generator(trained[system], tensors, info["network"], 64)
    exported = torch.export.export(network, arguments, dynamic_shapes=shapes).module()
    blend, factor = torch.tensor([0.3, 0.7]), about["multiple"]
    photo = images.load("cat", (2 * factor, 5 * factor))
    assert torch.allclose(exported(photo, blend), network(photo, blend), atol=1e-4) and names == ["image", "blend"]


def test_onnx_says_what_is_missing(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match="pip install onnx onnxscript"):
        onnx.export_onnx(trained["conditional"], tmp_path / "x.onnx")


@pytest.mark.parametrize(
    ("system", "options", "factor"),
    [
        ("StyleNet", {"widths": (4, 8, 8)}, 8),
        ("MultiscaleNet", {"scales": 3, "widths": (4, 8), "draft": {"widths": (4, 8)}}, 16),
        ("MultiscaleNet", {"scales": 2, "widths": (4, 8, 8, 8), "draft": {"widths": (4,)}}, 16),
    ],
)
def test_sizes_of_that_factor_are_not_padded(system, options, factor, monkeypatch):
    network = checkpoint.BUILDERS[system](1, blocks=1, **options)
    assert onnx.multiple_of(network) == factor
    pads, pad = [], images.pad
    monkeypatch.setattr(
        images, "pad", lambda image, margins, *how, **more: (pads.append(margins), pad(image, margins, *how, **more))[1]
    )
    network(torch.rand(1, 3, factor * 2, factor * 3))
    assert all(left == right for left, right, _, _ in pads)
