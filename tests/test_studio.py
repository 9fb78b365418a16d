"""The studio without a browser: its controls are moved and its buttons pressed from here."""

import asyncio
import base64
import io
import re

import pytest
import torch
from PIL import Image
from tiny import TinyEncoder, small, tiny_networks
from waiting import until

from nstlab import images
from nstlab.errors import NstlabError, SettingError, WeightsError
from nstlab.guidance import load_map
from nstlab.panels import orders, serve, studio
from nstlab.panels.studio import Studio
from nstlab.panels.swipe import Swipe
from nstlab.systems import Result
from nstlab.systems.trained import Generator


class Tiny(TinyEncoder):
    """A small stand-in for VGG-19."""

    dtype = torch.float32


@pytest.fixture
def panel(monkeypatch):
    """A studio that paints in no time, on a network of a few weights."""
    real, tiny = studio.plan, Tiny()
    monkeypatch.setattr(studio, "plan", lambda **wish: real(**wish, encoder=tiny))
    monkeypatch.setattr(orders, "offered", lambda: {"gatys": None, "preserve": None})
    made = Studio(small("cat"), small("great-wave"), size=32, steps=3)
    yield made
    made.stop()


def press(button):
    assert not button.disabled
    button.click()


def painted(panel):
    press(panel.paint_button)
    return panel.runner.wait(60)


def linked(panel, css="nst-studio-download") -> tuple[str, bytes]:
    """(file name, bytes) behind the link of that class."""
    name, data = re.search(rf'class="{css}" download="([^"]+)" href="data:image/png;base64,([^"]+)"', panel.save.value).groups()
    return name, base64.b64decode(data)


def written(path, data: bytes):
    path.write_bytes(data)
    return path


def test_it_opens_on_the_photo(panel):
    assert repr(panel) == "<Studio>"
    assert panel.result is None and panel.save.value == "" and "Press Paint" in panel.label.value
    assert panel.pause_button.disabled and panel.stop_button.disabled and not panel.paint_button.disabled
    assert panel.swipe.before[:2] == b"\xff\xd8" and not panel.swipe.after
    assert panel.thumbs[0].value and [thumb.layout.display for thumb in panel.thumbs] == ["", "none", "none"]
    assert panel.protect.layout.display == panel.painter.layout.display == "none"


def test_a_system_that_paints_like_any_painting_in_one_pass(monkeypatch):
    real, (encoder, decoder) = studio.plan, tiny_networks()
    monkeypatch.setattr(studio, "plan", lambda **wish: real(**wish, encoder=encoder, checkpoint=decoder))
    monkeypatch.setattr(orders, "offered", lambda: {"adain": None, "preserve": None})
    panel = Studio(small("cat"), small("great-wave"), system="adain", size=32)
    assert panel.strength.layout.display == panel.protect.layout.display == ""
    assert "all is painted alike" in panel.hint.value
    panel.system.value = "preserve"
    assert "what stands out is kept" in panel.hint.value
    panel.system.value, panel.strength.value = "adain", 0.5
    panel.paintings[1].pick.value = "starry-night"
    painted(panel)
    settings = panel.result.settings
    assert (settings["system"], settings["alpha"], settings["guide"], len(settings["styles"])) == ("adain", 0.5, "none", 2)
    panel.strength.value = 4
    painted(panel)
    assert panel.result.settings["alpha"] == 1 and "steps" not in panel.result.settings


def test_painting_gives_a_picture_with_its_settings(panel, tmp_path):
    before = panel.swipe.after
    panel.paintings[1].pick.value = "starry-night"
    panel.strength.value = 2.0
    painted(panel)
    assert panel.runner.state == "done" and "done" in panel.label.value and panel.bar.value == 1
    assert panel.swipe.after != before
    name, data = linked(panel)
    assert name == "cat-great-wave-starry-night.png"
    settings = images.metadata(written(tmp_path / "saved.png", data))["settings"]
    assert settings == panel.result.settings
    assert settings["content"] == small("cat") and settings["styles"] == [small("great-wave"), "starry-night"]
    assert (settings["system"], settings["size"], settings["steps"], settings["weights"]) == ("gatys", 32, 3, {"style": 2.0})
    assert Image.open(io.BytesIO(data)).size == (32, 21) and "&quot;starry-night&quot;" in panel.save.value


def test_what_is_marked_is_protected(panel, tmp_path):
    panel.system.value = "preserve"
    assert panel.protect.layout.display == "" and "what stands out is kept" in panel.hint.value
    panel.protect.value = True
    assert panel.painter.layout.display == "" and panel.swipe.layout.display == "none"
    panel.painter.stroke([(0.4, 0.4), (0.6, 0.6)], radius=0.2)
    painted(panel)  # goes back to the picture by itself
    assert panel.painter.layout.display == "none" and panel.swipe.layout.display == ""
    assert "of the photo is marked" in panel.hint.value
    assert panel.result.settings["system"] == "preserve" and panel.result.notes[0] == "guide: painted by hand"
    name, data = linked(panel, "nst-studio-download-map")
    guide = load_map(written(tmp_path / "saved.png", data)).map
    assert name == "protected.png" and (guide - panel.painter.guide.map).abs().max() < 0.01
    panel.photo.path.value = small("coffee")  # marks are those of a photo
    assert panel.painter.guide.uniform and "Nothing is marked" in panel.hint.value


def test_pause_go_on_and_stop(panel):
    panel._steps = 3000
    press(panel.paint_button)
    until(lambda: panel._run is not None and len(panel._run.history) > 2, what="a few steps")
    assert panel.paint_button.disabled and panel.photo.pick.disabled and panel.size.disabled
    press(panel.pause_button)
    until(lambda: "paused: step" in panel.label.value and panel.save.value, what="a pause with a picture")
    assert panel.pause_button.description == "Go on"
    count = len(panel._run.history)
    press(panel.pause_button)
    until(lambda: len(panel._run.history) > count + 2, what="going on")
    press(panel.stop_button)
    panel.runner.wait(30)
    assert "stopped: step" in panel.label.value and 0 < panel.bar.value < 1
    assert Image.open(io.BytesIO(linked(panel)[1])).width == 32
    assert not panel.paint_button.disabled and not panel.photo.pick.disabled


def test_uploads_go_by_their_names_and_leave_no_file(panel, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    panel.photo.show(torch.rand(1, 3, 20, 30), "a & b <c>.jpg")
    panel._take_photo(panel.photo.source)
    painted(panel)
    assert linked(panel)[0] == "a-b-c-great-wave.png"
    assert panel.result.settings["content"] == "a & b <c>.jpg" and "<c>" not in panel.save.value
    assert list(tmp_path.iterdir()) == []


def test_errors_are_one_plain_sentence(panel, monkeypatch):
    found = {
        "choose &lt;another&gt; one": SettingError("choose <another> one"),
        "not enough memory for this picture: choose a smaller size": MemoryError(),
        "this did not work (RuntimeError): try other pictures": RuntimeError("boom\n  at line 3"),
    }
    for said, error in found.items():
        with monkeypatch.context() as patch:
            patch.setattr(studio, "plan", lambda error=error, **wish: exec("raise error", {"error": error}))
            press(panel.paint_button)
            until(lambda: not panel.runner.alive)
        assert said in panel.label.value and "Traceback" not in panel.label.value and "boom" not in panel.label.value
    painted(panel)  # and it can be tried again
    assert "done" in panel.label.value


def test_a_system_that_has_learned_its_paintings(monkeypatch):
    painter = Generator(torch.nn.Identity(), ["great-wave", "mine"], "conditional", "")
    with monkeypatch.context() as patch:
        patch.setattr(orders, "load_generator", lambda system: painter)
        panel = Studio(small("cat"), ["starry-night", "great-wave"], size=32)
    panel.system.value = "conditional"
    assert [value for _, value in panel.paintings[1].pick.options] == ["", "great-wave", "mine"]
    assert [chooser.source for chooser in panel.paintings] == ["mine", "great-wave", None]
    assert panel.paintings[0].upload.layout.display == panel.strength.layout.display == "none"
    assert [thumb.layout.display for thumb in panel.thumbs] == ["none", "", "none"]  # no picture of "mine" is here
    asked = panel._options()
    assert asked == {"content": small("cat"), "styles": ["mine", "great-wave"], "system": "conditional", "size": 32}
    panel.system.value = "gatys"
    assert panel.paintings[0].upload.layout.display == panel.strength.layout.display == ""
    assert panel.paintings[0].source in [value for _, value in panel.paintings[0].pick.options]


def test_only_what_can_paint_is_offered(monkeypatch, tmp_path):
    def missing(system):
        raise WeightsError("no checkpoint")

    monkeypatch.setattr(orders, "load_generator", missing)
    for room in ("networks.decoder", "systems.trained"):
        monkeypatch.setattr(f"nstlab.{room}.SHIPPED", tmp_path)
    assert orders.offered() == {"gatys": None, "preserve": None, "luan": None}
    (tmp_path / "decoder_vgg19.safetensors").touch()
    assert "wct" in orders.offered() and "wct2" not in orders.offered()


@pytest.mark.parametrize(
    "wrong", [{"photo": "no-such"}, {"paintings": []}, {"paintings": ["cat"] * 4}, {"system": "magic"}, {"size": 0}]
)
def test_a_studio_that_cannot_be_opened(wrong):
    with pytest.raises(NstlabError):
        Studio(**{"photo": small("cat"), "paintings": small("great-wave"), **wrong})


def test_names_of_files_hold_plain_letters():
    assert orders.file_name("../../etc/passwd", ['<b onclick="x">.png']) == "passwd-b-onclick-x.png"
    assert orders.file_name("Müller's Katze.jpeg", ["..."]) == "Müller-s-Katze-picture.png"
    result = Result(torch.zeros(1, 3, 2, 2), [], {"content": "</pre><script>"})
    assert "<script>" not in orders.details(result)


def test_the_swipe_shows_one_picture_or_two():
    swipe = Swipe("nst-test", 100)
    swipe.show(torch.rand(1, 3, 20, 10))
    assert swipe.before and swipe.after == b"" and swipe.long_side == 100
    swipe.position = 0.5
    swipe.show(torch.rand(1, 3, 10, 20), torch.zeros(1, 3, 10, 20))
    assert swipe.before and swipe.after and swipe.position == 0


def test_without_voila_it_says_so(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "voila.app", None)
    assert serve.main(["20_studio.ipynb"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "pip install voila" in said


def test_the_number_of_visitors_is_limited(monkeypatch):
    """What Voila is started with, and what its kernel manager does with the fourth of three visitors."""
    voila = pytest.importorskip("voila.app")
    asked = {}
    monkeypatch.setattr(voila.Voila, "launch_instance", lambda arguments, config: asked.update(words=arguments, config=config))
    monkeypatch.setenv("NSTLAB_HEADLESS", "1")  # main says otherwise
    assert serve.main(["studio.ipynb", "--port=1"]) == 0 and asked["words"] == ["studio.ipynb", "--port=1"]
    config = asked["config"]
    assert config.MappingKernelManager.cull_idle_timeout == serve.IDLE > config.MappingKernelManager.cull_interval > 0
    manager = config.VoilaConfiguration.multi_kernel_manager_class
    assert voila.VoilaConfiguration(config=config).multi_kernel_manager_class is manager

    class Kernels(dict):
        """Kernels that take a while to start."""

        def __init__(self, config):
            self.config = config

        async def start_kernel(self, **options):
            await asyncio.sleep(0)
            self[options["path"]] = options
            return len(self)

    async def visit(kernels):
        return await asyncio.gather(*(kernels.start_kernel(path=str(n)) for n in range(5)), return_exceptions=True)

    from traitlets.config import Config, Configurable

    class Base(Configurable, Kernels):
        def __init__(self, **options):
            Configurable.__init__(self, **options)

    for chosen, most in ((None, serve.VISITORS), (3, 3)):
        kernels = serve.limited(Base)(config=Config({"Visitors": {"most": chosen}} if chosen else {}))
        assert kernels.most == most
        if chosen:
            found = asyncio.run(visit(kernels))
            assert found[:3] == [1, 2, 3] and [error.status_code for error in found[3:]] == [503, 503]
            del kernels["1"]  # somebody leaves
            assert asyncio.run(kernels.start_kernel(path="6")) == 3
