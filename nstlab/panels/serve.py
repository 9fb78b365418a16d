"""Serves the studio with Voila: code hidden, each visitor on a kernel of their own. python -m nstlab.panels.serve NOTEBOOK.

--rooms N lets in N visitors at a time, or as many as the memory holds, and says beforehand what this machine can carry;
--idle SECONDS ends a visit in which nothing happens. What else is given is for Voila.
"""

import argparse
import os
import sys
from pathlib import Path

from nstlab.errors import NstlabError, check_count
from nstlab.experiments.results import HOSTED
from nstlab.panels import capacity, desk, door

MESSAGE = 8_000_000  # bytes of one message of a browser; uploads come in smaller pieces
LEFT = 600  # seconds after which the kernel of a visitor who has left, and could not say so, is ended
SERVED = Path(__file__).with_name("served")  # Voila's page without requests to other servers
SETTINGS = {
    "Voila": {"tornado_settings": {"websocket_max_message_size": MESSAGE}},
    "VoilaConfiguration": {
        "template": "nstlab",
        "allow_template_override": "NO",
        "allow_theme_override": "NO",
        "file_allowlist": ["(?!)"],  # no file of this machine is served
        "extension_allowlist": ["@voila-dashboards/widgets-manager8", "@jupyter-widgets/jupyterlab-manager", "anywidget"],
        "show_tracebacks": False,
        "strip_sources": True,
    },
    "TagRemovePreprocessor": {"enabled": True, "remove_cell_tags": [HOSTED]},  # links to other places, for readers of code
    "MappingKernelManager": {"cull_idle_timeout": LEFT, "cull_interval": 60, "cull_connected": False},
}


def main(arguments: list[str]) -> int:
    """Serve a notebook until Ctrl-C; `arguments` are Voila's, such as --no-browser, --port=8866, --Voila.ip=0.0.0.0."""
    try:
        from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
        from traitlets.config import Config
    except ImportError:
        return _no_voila()
    try:
        own, rest = _own(arguments)
    except NstlabError as error:
        print(f"studio: {error}", file=sys.stderr)
        return 2
    os.environ["NSTLAB_HEADLESS"] = "0"  # somebody will be at the controls
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(SERVED), os.environ.get("JUPYTER_PATH")]))
    os.environ[desk.IDLE_PLACE] = str(own.idle)
    cores = capacity.cores()
    slots = max(1, cores // 4)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // slots)))
    settings = Config(SETTINGS)
    try:
        app = _studio_app({"paint": slots, "quick": max(2, slots)})
    except ImportError:
        return _no_voila()
    most = door.VISITORS
    if own.rooms:
        found = capacity.measured()
        most = min(own.rooms, found.visitors)
        print(found.report(own.rooms, slots), flush=True)
    settings.Visitors.most = most
    settings.VoilaConfiguration.multi_kernel_manager_class = door.visitors(AsyncMappingKernelManager)
    app.launch_instance(rest, config=settings)
    return 0


def _own(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options that are not Voila's, checked, and the rest. Raises SettingError."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--rooms", default=None)
    parser.add_argument("--idle", default=int(desk.IDLE))
    own, rest = parser.parse_known_args(arguments)
    own.rooms = None if own.rooms is None else check_count("--rooms", own.rooms)
    own.idle = check_count("--idle", own.idle, least=2)
    return own, rest


def _no_voila() -> int:
    print("the studio is served by Voila, which is not installed here: .venv/bin/pip install voila", file=sys.stderr)
    return 2


def _studio_app(lines: dict[str, int]) -> type:
    """Voila with a line before its door and a desk that gives out turns."""
    import tornado.ioloop
    from voila.app import Voila
    from voila.tornado.handler import TornadoVoilaHandler

    class Rooms(Voila):
        name = "nstlab-studio"

        def init_handlers(self):
            """Voila's, with our door before the page."""
            loop, manager = tornado.ioloop.IOLoop.current(), self.kernel_manager
            end = lambda kernel: loop.add_callback(manager.end_visit, kernel)
            self.desk = desk.Desk(lines, on_end=end)
            os.environ[desk.PLACE] = self.desk.address
            loop.add_callback(manager.make_ready)
            ours = door.door(TornadoVoilaHandler, door.WaitingRoom())
            return [(each[0], ours, *each[2:]) if each[1] is TornadoVoilaHandler else each for each in super().init_handlers()]

    return Rooms


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
