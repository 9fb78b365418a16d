"""Serves the studio with Voila: code hidden, each visitor on a kernel of their own. python -m nstlab.panels.serve NOTEBOOK."""

import os
import sys

from nstlab.experiments.results import HOSTED
from nstlab.panels.chooser import SERVED_BYTES

IDLE = 600  # seconds after which the kernel of a visitor who has left is ended
SETTINGS = {
    "Voila": {"tornado_settings": {"websocket_max_message_size": SERVED_BYTES * 3 // 2}},
    "VoilaConfiguration": {
        "file_allowlist": ["(?!)"],  # no file of this machine is served
        "extension_allowlist": ["@voila-dashboards/widgets-manager8", "@jupyter-widgets/jupyterlab-manager", "ipycanvas"],
        "show_tracebacks": False,
        "strip_sources": True,
    },
    "TagRemovePreprocessor": {"enabled": True, "remove_cell_tags": [HOSTED]},  # links to other places, for readers of code
    "MappingKernelManager": {"cull_idle_timeout": IDLE, "cull_interval": 60, "cull_connected": False},
}


def main(arguments: list[str]) -> int:
    """Serve a notebook until Ctrl-C; `arguments` are Voila's, such as --no-browser, --port=8866, --Voila.ip=0.0.0.0."""
    try:
        from traitlets.config import Config
        from voila.app import Voila
    except ImportError:
        print("the studio is served by Voila, which is not installed here: .venv/bin/pip install voila", file=sys.stderr)
        return 2
    os.environ["NSTLAB_HEADLESS"] = "0"  # somebody will be at the controls
    Voila.launch_instance(arguments, config=Config(SETTINGS))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
