"""What the notebooks call, and what makes them: checks, committed outputs, student and teacher trees, figures."""

from nstlab.course.checks import check
from nstlab.experiments.results import emit, headless

__all__ = ["check", "emit", "headless"]
