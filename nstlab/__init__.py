"""nstlab: neural style transfer, built step by step, run, and measured."""

import os

__version__ = "0.1.0"

# Threads that wait for work shall sleep, not spin: beside one other busy process, spinning made a run take nine times as
# long. OpenMP reads this when torch is loaded, so it acts where nstlab is imported first.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_EXPORTS = {
    "ContentLoss": "losses",
    "Encoder": "encoders",
    "VGG": "encoders",
    "NstlabError": "errors",
    "Objective": "objective",
    "Result": "systems",
    "SmoothnessLoss": "losses",
    "Step": "step",
    "StyleLoss": "losses",
    "load_encoder": "encoders",
    "plan": "systems",
    "stylize": "systems",
}
__all__ = sorted(_EXPORTS)


def __getattr__(name):
    """The names most often used, imported when first asked for: `import nstlab` stays quick."""
    if name not in _EXPORTS:
        raise AttributeError(f"module 'nstlab' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"nstlab.{_EXPORTS[name]}"), name)
