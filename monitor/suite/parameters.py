"""What of a function can be swept: its keyword-only parameters, with their defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from monitor.errors import ConfigurationError
from monitor.workload import Value


def label_of(function: Callable[..., Any]) -> str:
    """The first line of the function's docstring; its name where it has none."""
    return (inspect.getdoc(function) or function.__name__).splitlines()[0]


def parameters_of(function: Callable[..., Any]) -> dict[str, Value]:
    """Keyword-only parameters with their defaults. Raises ConfigurationError where one has none."""
    found = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for name, default in found.items():
        if default is inspect.Parameter.empty:
            raise ConfigurationError(f"{function.__name__}: parameter '{name}' needs a default.")
    return found


def check_all(function: Callable[..., Any], name: str, given: object, kind: type) -> None:
    """Raise ConfigurationError unless it is a tuple of that kind, as a plug-in's may not be."""
    if not isinstance(given, tuple) or not all(isinstance(each, kind) for each in given):
        raise ConfigurationError(f"{function.__name__}: {name} must be a tuple of {kind.__name__}.")
