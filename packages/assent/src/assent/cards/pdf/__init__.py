"""Print a page as PDF: by WeasyPrint where the extra `pdf` is installed, else by a Chromium of the system.

Either runs in a process of its own, within a time limit, without network, one page at a time.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from assent.kernel.errors import Reason, Unavailable

TIME_LIMIT_S = 60.0
BROWSERS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge",
)  # fmt: skip
_one_at_a_time = threading.Lock()


class _Failed(Exception):
    """One way of printing did not work; the text says why."""


def print_pdf(page: str, limit_s: float = TIME_LIMIT_S) -> bytes:
    """Print a self-contained page. Raises: Unavailable, naming both ways and why neither worked."""
    if not _one_at_a_time.acquire(timeout=limit_s):
        raise Unavailable("Other cards are being printed.", remedy="Ask again in a minute.")
    try:
        return _first_of(page, limit_s)
    finally:
        _one_at_a_time.release()


def _first_of(page: str, limit_s: float) -> bytes:
    reasons = []
    ways: dict[str, Callable[[str, Path, float], bytes]] = {"weasyprint": _weasyprint, "chromium": _chromium}
    for name, way in ways.items():
        with tempfile.TemporaryDirectory(prefix="assent-card-") as folder:
            try:
                return way(page, Path(folder), limit_s)
            except _Failed as failure:
                reasons.append(Reason(name, str(failure)))
    raise Unavailable(
        "This server could not print a PDF, neither by WeasyPrint nor by Chromium.",
        remedy="Install WeasyPrint (pip install 'assent[pdf]') or a Chromium on the server's PATH; "
        "or export HTML and print it in a browser.",
        reasons=reasons,
    )


def _weasyprint(page: str, folder: Path, limit_s: float) -> bytes:
    if importlib.util.find_spec("weasyprint") is None:
        raise _Failed("WeasyPrint is not installed.")
    return _run([sys.executable, "-m", "assent.cards.pdf.weasy"], page, folder, limit_s)


def _chromium(page: str, folder: Path, limit_s: float) -> bytes:
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise _Failed(f"No Chromium is on the PATH (looked for {', '.join(BROWSERS)}).")
    command = [
        browser,
        "--headless",
        "--disable-gpu",
        "--disable-extensions",
        "--disable-background-networking",
        "--no-first-run",
        "--no-pdf-header-footer",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={folder / 'profile'}",
        f"--print-to-pdf={folder / 'card.pdf'}",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--no-sandbox")  # Chromium has no sandbox for root and refuses to start with one
    return _run([*command, (folder / "card.html").as_uri()], page, folder, limit_s)


def _run(command: Sequence[str], page: str, folder: Path, limit_s: float) -> bytes:
    """Run a program on `card.html` in a folder; it leaves `card.pdf` there."""
    (folder / "card.html").write_text(page, encoding="utf-8")
    kept = {
        key: os.environ[key] for key in ("PATH", "LANG", "LC_ALL", "FONTCONFIG_PATH") if key in os.environ
    }
    with (folder / "said").open("w+b") as said:
        process = subprocess.Popen(  # noqa: S603 -- a fixed list of arguments, no shell
            command,
            cwd=folder,
            env={**kept, "HOME": str(folder), "TMPDIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise _Failed(f"It took longer than {limit_s:g} s.") from None
        finally:
            _end(process)
        said.seek(0)
        words = said.read(2000).decode(errors="replace").strip().splitlines()
    printed = folder / "card.pdf"
    if code != 0 or not printed.exists():
        raise _Failed(f"It ended with {code}: {words[-1] if words else 'no word'}")
    return printed.read_bytes()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()
