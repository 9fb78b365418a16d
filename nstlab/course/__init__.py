"""What the notebooks call, and what makes them: checks, committed outputs, student and teacher trees, figures."""

from nstlab.course.checks import check, whole_numbers
from nstlab.experiments.results import emit, headless

__all__ = ["check", "emit", "headless", "whole_numbers"]
