"""Serves the studio with Voila: code hidden, each visitor on a kernel of their own. python -m nstlab.panels.serve NOTEBOOK.

At most VISITORS kernels run at a time (--Visitors.most=30 lets in more); kernels without a visitor are ended.
"""

import os
import sys

from nstlab.experiments.results import HOSTED
from nstlab.panels.chooser import UPLOAD_BYTES

VISITORS = 12  # each kernel takes about 1 GB
IDLE = 600  # seconds after which the kernel of a visitor who has left is ended
SETTINGS = {
    "Voila": {"tornado_settings": {"websocket_max_message_size": UPLOAD_BYTES * 3 // 2}},
    "VoilaConfiguration": {
        "file_allowlist": ["(?!)"],  # no file of this machine is served
        "extension_allowlist": ["@voila-dashboards/widgets-manager8", "@jupyter-widgets/jupyterlab-manager", "anywidget"],
        "show_tracebacks": False,
        "strip_sources": True,
    },
    "TagRemovePreprocessor": {"enabled": True, "remove_cell_tags": [HOSTED]},  # links to other places, for readers of code
    "MappingKernelManager": {"cull_idle_timeout": IDLE, "cull_interval": 60, "cull_connected": False},
}


def limited(base: type) -> type:
    """A kernel manager like `base` that starts no more than its trait `most` kernels at a time."""
    from tornado.web import HTTPError
    from traitlets import Int

    class Visitors(base):
        most = Int(VISITORS, config=True, help="Visitors at a time.")
        starting = 0

        async def start_kernel(self, **options):
            """Start a kernel and return its id; raises HTTPError 503 where there are as many as may be."""
            if len(self) + self.starting >= self.most:
                raise HTTPError(503, reason="The studio is full: come back in a few minutes")
            self.starting += 1
            try:
                return await super().start_kernel(**options)
            finally:
                self.starting -= 1

    return Visitors


def main(arguments: list[str]) -> int:
    """Serve a notebook until Ctrl-C; `arguments` are Voila's, such as --no-browser, --port=8866, --Voila.ip=0.0.0.0."""
    try:
        from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
        from traitlets.config import Config
        from voila.app import Voila
    except ImportError:
        print("the studio is served by Voila, which is not installed here: .venv/bin/pip install voila", file=sys.stderr)
        return 2
    os.environ["NSTLAB_HEADLESS"] = "0"  # somebody will be at the controls
    settings = Config(SETTINGS)
    settings.VoilaConfiguration.multi_kernel_manager_class = limited(AsyncMappingKernelManager)
    Voila.launch_instance(arguments, config=settings)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
