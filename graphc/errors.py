"""What messages to users have in common."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def unknown_name(kind: str, name: object, choices: Iterable[str]) -> ValueError:
    """The error for a name that nothing has, suggesting the nearest that something has.

    Args:
        kind: what was looked up, as it reads after "Unknown", for example "optimizer".
        name: what the user gave; any object, shown by its repr.
        choices: the names that would have done.

    Returns:
        A ValueError for the caller to raise, saying for example: Unknown optimizer 'adm'.
        Did you mean 'adam'? Known: adadelta, adagrad, adam.
    """
    known = sorted(set(choices))
    by_lower_case = {choice.lower(): choice for choice in known}
    nearest = get_close_matches(str(name).lower(), by_lower_case, n=1)
    hint = f" Did you mean {by_lower_case[nearest[0]]!r}?" if nearest else ""
    return ValueError(f"Unknown {kind} {name!r}.{hint} Known: {', '.join(known)}.")
