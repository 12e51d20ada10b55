"""Templates of policies without users. Called by the command line, the demo and tests to make a policy file."""

from importlib.resources import files
from typing import Final

PRESETS: Final = ("observer", "hunter", "semi_auto")


def preset_text(name: str, users: tuple[str, ...]) -> str:
    """Return the text of a policy file: the preset, applied to these users (``("*",)`` for everybody).

    Raises:
        ValueError: no such preset, or no users.
    """
    if name not in PRESETS or not users:
        message = f"expected one of {', '.join(PRESETS)} and at least one user, found {name!r} and {len(users)} users"
        raise ValueError(message)
    quoted = ", ".join("'" + user.replace("'", "''") + "'" for user in users)
    return f"{preset_template(name)}applies_to: {{users: [{quoted}]}}\n"


def preset_template(name: str) -> str:
    """Return the text of a template as it is shipped; it has no `applies_to` and does not load."""
    return (files(__name__) / f"{name}.yaml").read_text(encoding="utf-8")
