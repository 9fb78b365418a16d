"""Panels of ipywidgets: views over the same iterators and functions that the notebooks call."""
