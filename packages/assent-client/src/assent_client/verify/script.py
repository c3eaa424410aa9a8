"""Write the verifier of packs as one file that needs only `cryptography`."""

from __future__ import annotations

import re
from importlib.resources import files

PARTS = ("merkle", "note", "archive", "dsse", "pack")
"""Modules of this package, each after those that it imports."""

_OWN_IMPORT = re.compile(r"^from assent_client\.[\w.]+ import (?:\([^)]*\)|[^\n]*)\n", re.MULTILINE)
_FUTURE = "from __future__ import annotations\n"

_HEADER = '''#!/usr/bin/env python3
"""Verify a pack of Assent, offline: python verify_pack.py PACK [--trust ROOT].

Needs Python 3.11 and the package `cryptography`, nothing else. Exit code 0: verified against ROOT; 1: it does
not hold, with the place; 2: wrong usage; 3: consistent, but the issuer is not known, since no ROOT was given.
The parts below are those of the package assent-client, word for word.
"""

from __future__ import annotations
'''

_MAIN = '''
# --- the command ---

def main() -> int:
    """Verify the pack that the command line names."""
    import argparse, pathlib, sys
    parser = argparse.ArgumentParser(description="Verify a pack of Assent, offline.")
    parser.add_argument("pack", type=pathlib.Path)
    parser.add_argument("--trust", type=pathlib.Path, metavar="ROOT", help="root document that you hold")
    asked = parser.parse_args()
    try:
        root = asked.trust.read_text(encoding="utf-8") if asked.trust else None
        found = verify_pack(asked.pack.read_bytes(), root)
    except (OSError, UnicodeDecodeError) as error:
        print(f"cannot read: {error}", file=sys.stderr)
        return 2
    except VerificationError as error:
        print(ascii(f"does not hold: {error}")[1:-1])
        return 1
    print("verified" if found.trusted else "consistent, issuer unknown")
    sizes = (len(found.entries), len(found.statements), len(found.absent))
    counts = "{} entries, {} statements, {} bodies erased".format(*sizes)
    print(ascii(f"log {found.checkpoint.origin}; pack of {found.about.get('ref')}: {counts}")[1:-1])
    return 0 if found.trusted else 3


if __name__ == "__main__":
    raise SystemExit(main())
'''


def verifier_script() -> str:
    """Give the text of the script: the modules of this package in one, their own imports taken out."""
    parts = [_HEADER]
    for name in PARTS:
        text = (files("assent_client.verify") / f"{name}.py").read_text(encoding="utf-8")
        parts.append(f"\n# --- {name} ---\n\n{_OWN_IMPORT.sub('', text).replace(_FUTURE, '', 1)}")
    return "".join([*parts, _MAIN])
