"""Strict loading of policy files; the only part of the package that knows YAML."""

from policy.load.files import PolicyLoadError, Problem, load_directory, parse_policy

__all__ = ["PolicyLoadError", "Problem", "load_directory", "parse_policy"]
