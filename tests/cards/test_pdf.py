import os
import shutil
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from assent.cards import pdf, service
from assent.cards.pdf import weasy
from assent.kernel.errors import Unavailable

PAGE = "<!doctype html><title>t</title><style>p{color:red}</style><p>Gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n</p>"
SCRIPT = "#!/bin/sh\nexec {python} - \"$@\" <<'END'\nimport sys, time, pathlib\n{body}\nEND\n"


@pytest.fixture
def no_weasyprint(monkeypatch):
    monkeypatch.setattr(pdf.importlib.util, "find_spec", lambda name: None)


@pytest.fixture
def browser(tmp_path, monkeypatch, no_weasyprint):
    """A program in the place of Chromium: `browser("python lines")`."""

    def install(body):
        program = tmp_path / "bin" / "chromium"
        program.parent.mkdir()
        program.write_text(SCRIPT.format(python=sys.executable, body=body))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        monkeypatch.setattr(pdf, "BROWSERS", ("chromium",))
        return program

    return install


def ways():
    found = []
    if pdf.importlib.util.find_spec("weasyprint") is not None:
        found.append("weasyprint")
    if any(shutil.which(name) for name in pdf.BROWSERS):
        found.append("chromium")
    return found


@pytest.mark.parametrize("way", ["weasyprint", "chromium"])
def test_a_page_is_printed(way, monkeypatch):
    if way not in ways():
        pytest.skip(f"{way} is not on this machine")
    if way == "chromium":
        monkeypatch.setattr(pdf.importlib.util, "find_spec", lambda name: None)
    try:
        printed = pdf.print_pdf(PAGE)
    except Unavailable as error:
        pytest.skip(f"{way} does not run on this machine: {[reason.message for reason in error.reasons]}")
    assert printed.startswith(b"%PDF-")
    assert len(printed) > 1000


@pytest.mark.filterwarnings("ignore:HarfBuzz-Subset:DeprecationWarning")  # about a library of the system's
def test_weasyprint_prints_what_lies_in_its_folder_and_fetches_nothing(tmp_path, monkeypatch):
    if "weasyprint" not in ways():
        pytest.skip("weasyprint is not on this machine")
    monkeypatch.chdir(tmp_path)
    with socket.socket() as elsewhere:
        elsewhere.bind(("127.0.0.1", 0))
        elsewhere.listen()
        elsewhere.settimeout(0)
        url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/x"
        leak = f"{PAGE}<link rel=stylesheet href={url}.css><img src={url}.png><img src=file:///etc/hostname>"
        Path("card.html").write_text(leak, encoding="utf-8")
        try:
            weasy.main()
        except OSError as error:
            pytest.skip(f"weasyprint's libraries are not on this machine: {error}")
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
    assert Path("card.pdf").read_bytes().startswith(b"%PDF-")


def test_without_either_the_error_names_both_and_what_to_do(monkeypatch, no_weasyprint, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="neither by WeasyPrint nor by Chromium") as caught:
        pdf.print_pdf(PAGE)
    assert [reason.id for reason in caught.value.reasons] == ["weasyprint", "chromium"]
    assert "assent[pdf]" in caught.value.remedy
    assert "google-chrome" in caught.value.reasons[1].message


def test_a_program_that_hangs_is_ended_with_all_that_it_started(browser, tmp_path):
    pid = tmp_path / "pid"
    browser(f"import os; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(60)")
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        pdf.print_pdf(PAGE, limit_s=2)
    assert time.monotonic() - began < 10
    assert "longer than 2 s" in caught.value.reasons[1].message
    status = Path(f"/proc/{pid.read_text()}/stat") if pid.exists() else Path("/proc/none")
    time.sleep(0.2)
    assert not status.exists() or " Z " in status.read_text()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("print('out of ideas'); sys.exit(3)", "It ended with 3: out of ideas"),
        ("pass", "It ended with 0: no word"),
    ],
)
def test_a_program_that_fails_says_so(browser, body, words):
    browser(body)
    with pytest.raises(Unavailable) as caught:
        pdf.print_pdf(PAGE)
    assert caught.value.reasons[1].message == words


def test_the_program_gets_no_secrets_and_no_network(browser, monkeypatch, tmp_path):
    told = tmp_path / "told"
    monkeypatch.setenv("ASSENT_BOOTSTRAP_TOKEN", "secret")
    body = (
        "import os; out = next(a for a in sys.argv if a.startswith('--print-to-pdf='))\n"
        f"pathlib.Path({str(told)!r}).write_text(repr((sorted(os.environ), sys.argv)))\n"
        "pathlib.Path(out.partition('=')[2]).write_bytes(b'%PDF-1.7')"
    )
    browser(body)
    assert pdf.print_pdf(PAGE) == b"%PDF-1.7"
    environment, arguments = eval(told.read_text())
    assert "ASSENT_BOOTSTRAP_TOKEN" not in environment
    assert "--host-resolver-rules=MAP * ~NOTFOUND" in arguments
    assert ("--no-sandbox" in arguments) is (os.geteuid() == 0)


def test_one_page_is_printed_at_a_time(browser):
    browser("time.sleep(60)")
    refused = []

    def ask():
        try:
            pdf.print_pdf(PAGE, 3)
        except Unavailable as error:
            refused.append(error.message)

    first = threading.Thread(target=ask)
    first.start()
    time.sleep(0.5)
    with pytest.raises(Unavailable, match="Other cards are being printed"):
        pdf.print_pdf(PAGE, limit_s=0.2)
    first.join()
    assert len(refused) == 1


def test_a_card_is_printed_over_http(served):
    if not ways():
        pytest.skip("neither WeasyPrint nor Chromium is on this machine")
    card = served.complete()
    with served.api("ada") as api:
        try:
            printed = api.read(api.path("cards", card.id), format="pdf")
        except Unavailable as error:
            pytest.skip(f"nothing prints on this machine: {error.reasons}")
    assert printed.startswith(b"%PDF-")


def test_the_page_of_a_card_loads_nothing(measured):
    page = service.page_of(measured.view(measured.complete()))
    assert "<script" not in page
    assert "http-equiv" in page
    assert not [word for word in ('src="', "@import", "url(") if word in page]
