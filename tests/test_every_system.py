"""What every system of the registry promises, whatever it does in between. A new one is tested here without a line."""

import shlex
import sys
from dataclasses import fields

import pytest
import torch
from tiny import random_decoder, small, tiny, write_decoder

from nstlab import images, options
from nstlab.cli import app as cli
from nstlab.encoders import load_encoder
from nstlab.errors import NstlabError, SettingError, WeightsError
from nstlab.experiments.recipe import command
from nstlab.systems import registry, stylize, transfer

NAMES = list(registry.SYSTEMS)
QUICK = {"steps": 2, "encoder": "pocket", "precision": "fp32", "device": "cpu", "seed": 3}
OTHER = {"int": 11, "float": 0.375, "text": "-other", "weights": {"style": 2.5}, "texts": ["-a.png", "b c.png"]}
OTHER |= {"numbers": [0.25, 0.75], "layers": ["relu1_1", "relu2_1"]}  # values that no option has by default


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """{system: a checkpoint of a network of a few weights}, for those that learn their styles."""
    made = {}
    for name in NAMES:
        if registry.load(name).styles == "learned":
            folder = tmp_path_factory.mktemp(name)
            list(tiny(name, folder, steps=2, lr=0.01))  # enough to tell its styles apart
            made[name] = folder / "last.safetensors"
    return made


@pytest.fixture(autouse=True, scope="module")
def decoders(tmp_path_factory, checkpoints):
    """Decoders of a few random weights for the pocket encoder, in the place of those that ship, once networks are trained."""
    folder, encoder = tmp_path_factory.mktemp("decoders"), load_encoder("pocket", precision="fp32", device="cpu")
    for kind, upsampling in (("decoder", "nearest"), ("adain", "nearest"), ("decoder", "wavelet"), ("decoder", "indices")):
        suffix = "" if upsampling == "nearest" else f"_{upsampling}"
        write_decoder(random_decoder(encoder, upsampling, ranks=[4] * 4), folder / f"{kind}_pocket{suffix}.safetensors")
    patch = pytest.MonkeyPatch()
    patch.setattr("nstlab.networks.decoder.SHIPPED", folder)
    yield
    patch.undo()
    transfer._loaded.cache_clear()


@pytest.fixture
def paint(checkpoints):
    """paint(system, content, styles, **options) -> Result, by the quickest means that the system has."""

    def paint(name, content, styles=None, **given):
        system = registry.load(name)
        quick = QUICK | ({"checkpoint": checkpoints[name]} if name in checkpoints else {})
        quick = {option: value for option, value in quick.items() if system.takes(option)}
        styles = [style_of(name)] if styles is None else styles
        return stylize(content, styles, system=name, **quick, **given)

    return paint


def style_of(name, number=0):
    """A painting of 72 px, or its name for a system that has learnt it."""
    painting = ("starry-night", "great-wave")[number]
    return painting if registry.load(name).styles == "learned" else small(painting)


def noise(*size, seed=0):
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(33, 47), (5, 2), (1, 1)])
@pytest.mark.filterwarnings("ignore:the guide")  # a single pixel singles nothing out
def test_any_size_in_same_size_out(name, size, paint):
    content = noise(*size)
    before = content.clone()
    image = paint(name, content, size=max(size)).image
    assert image.shape == content.shape and image.dtype == torch.float32 and image.isfinite().all()
    assert 0 <= image.min() and image.max() <= 1 and torch.equal(content, before)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_makes_the_same_bytes(name, paint, tmp_path):
    torch.manual_seed(1)
    first = paint(name, small("cat"), size=40)
    torch.manual_seed(2)  # the global generator is nobody's business
    second = paint(name, small("cat"), size=40)
    files = [result.save(tmp_path / f"{number}.png").read_bytes() for number, result in enumerate((first, second))]
    assert files[0] == files[1]
    again = images.metadata(tmp_path / "0.png")["settings"]
    remade = stylize(again.pop("content"), again.pop("styles"), **again)
    assert torch.equal(remade.image, first.image) and remade.settings == first.settings


@pytest.mark.parametrize("name", NAMES)
def test_settings_in_a_picture_give_the_same_options_by_its_command(name, monkeypatch, tmp_path):
    system, asked = registry.load(name), {}
    given = {field.name: OTHER[field.metadata["kind"]] for field in fields(system.options) if field.metadata["kind"] in OTHER}
    wanted = options.settings(options.make(system.options, name, given))
    assert not [field.name for field in fields(system.options) if field.name in given and given[field.name] == field.default]
    found = {"system": name, "content": "-a cat.png", "styles": ["x y", "z"], **wanted}
    path = images.save(noise(8, 8), tmp_path / "a b.png", {"settings": found})

    def plan(content, styles, **rest):
        asked.update(content=content, styles=styles, **rest)
        raise SettingError("enough")

    monkeypatch.setattr("nstlab.systems.plan", plan)
    monkeypatch.setattr(sys, "argv", shlex.split(command(path)))
    with pytest.raises(SystemExit):
        cli.main()
    assert (asked.pop("system"), asked.pop("content"), asked.pop("styles")) == (name, "-a cat.png", ["x y", "z"])
    assert options.settings(options.make(system.options, name, asked)) == wanted


@pytest.mark.parametrize("name", NAMES)
def test_a_blend_of_one_is_that_style(name, paint):
    content, styles = noise(32, 40), [style_of(name, number) for number in (0, 1)]
    if not registry.load(name).takes("blend"):
        with pytest.raises(SettingError, match="unknown option of .* 'blend'"):
            paint(name, content, styles, size=40, blend=[1, 0])
        return
    for number, shares in enumerate(([1, 0], [0, 1])):
        alone = paint(name, content, [styles[number]], size=40).image
        assert torch.allclose(paint(name, content, styles, size=40, blend=shares).image, alone, atol=1e-5)
    assert not torch.allclose(paint(name, content, styles, size=40, blend=[0.5, 0.5]).image, alone, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_masks_give_every_painting_its_place_or_are_refused(name, paint):
    content, styles = noise(32, 40), [style_of(name, number) for number in (0, 1)]
    mask = torch.zeros(1, 1, 32, 40).index_fill(3, torch.arange(20), 1.0)
    if not registry.load(name).takes("masks"):
        with pytest.raises(SettingError, match="unknown option of .* 'masks'"):
            paint(name, content, styles, size=40, masks=[mask])
        return
    left, right = (paint(name, content, styles, size=40, masks=[each]).image for each in (mask, 1 - mask))
    assert left.shape == content.shape and not torch.allclose(left, right, atol=1e-3)
    for masks in ([mask] * 3, [mask * 0], [mask * 300]):
        with pytest.raises(SettingError, match="mask"):
            paint(name, content, styles, size=40, masks=masks)


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_the_options_of_the_system(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["nstlab", "stylize", "--system", name, "--help"])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    shown, system = " ".join(capsys.readouterr().out.split()), registry.load(name)
    assert stopped.value.code in (0, None) and system.paper in shown
    for field in fields(system.options):
        assert (f"{options.flag(field)} " in shown) == (field.metadata["kind"] != "python"), field.name


@pytest.mark.parametrize("name", NAMES)
def test_foreign_files_of_weights_are_one_clear_error(name, paint, checkpoints, tmp_path):
    system, text = registry.load(name), tmp_path / "text.safetensors"
    text.write_text("no weights")
    option = "checkpoint" if system.takes("checkpoint") else "encoder"
    if not system.takes(option):
        pytest.skip("it reads no file of weights")
    foreign = [path for other, path in checkpoints.items() if other != name][:1]
    for path in [*foreign, text, tmp_path / "missing.safetensors"]:
        with pytest.raises(WeightsError) as error:
            stylize(noise(32, 32), [style_of(name)], system=name, size=32, **{option: str(path)})
        assert isinstance(error.value, NstlabError) and path.name in str(error.value) and "\n" not in str(error.value)
