"""An event's code: its name made safe for DNS labels, topics, file names and Kubernetes objects."""

from __future__ import annotations

import re
import unicodedata

CODE_LENGTH = 63  # RFC 1123 label
_CODE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def code_of(name: str) -> str:
    """Code of an event's name, as the thesis writes it: "2012 Hurricane Sandy" gives "2012-hurricane-sandy".

    Raises ValueError where nothing of the name can stand in a code (a name without Latin letters or digits).
    """
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    code = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:CODE_LENGTH].rstrip("-")
    if not code:
        raise ValueError(f"no code can be made of the name {name!r}: it has no Latin letter or digit; give one")
    return code


def check_code(code: str) -> str:
    """Return the code. Raises ValueError unless it is 1 to 63 of a-z, 0-9 and inner hyphens."""
    if not _CODE.fullmatch(code):
        raise ValueError(f"code {code!r}: 1 to 63 of a-z, 0-9 and hyphens inside")
    return code
