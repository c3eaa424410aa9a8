"""`make setup` on machines where something is missing: each says what to install."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.architecture.house_rules import ROOT

SILENT = '#!/bin/sh\ncase "$*" in *venv*ensurepip*) exit 1;; *version_info*print*|*print*version_info*) echo 3.12;; esac\n'


@pytest.fixture
def setup(tmp_path):
    """Run .ci/setup in an empty folder, with the given Python."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/setup", tmp_path / ".ci/setup")

    def run(python):
        return subprocess.run(
            [".ci/setup"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHON": str(python)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def executable(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_without_a_python_it_says_which_one_is_needed(setup, tmp_path):
    done = setup(tmp_path / "nowhere")
    assert done.returncode == 1
    assert "no Python >= 3.11" in done.stderr
    assert "to do: " in done.stderr


def test_a_python_that_is_too_old_does_not_count(setup, tmp_path):
    done = setup(executable(tmp_path / "python3", "#!/bin/sh\nexit 1\n"))
    assert "no Python >= 3.11" in done.stderr


def test_a_python_without_venv_names_the_package_to_install(setup, tmp_path):
    done = setup(executable(tmp_path / "python3", SILENT))
    assert done.returncode == 1
    assert "cannot make virtual environments" in done.stderr
    assert "to do: " in done.stderr
    assert not (tmp_path / ".venv/.assent-ready").exists()


def test_a_folder_left_half_made_is_no_reason_to_stop(setup, tmp_path):
    (tmp_path / ".venv/bin").mkdir(parents=True)
    executable(tmp_path / ".venv/bin/python", "#!/bin/sh\nexit 127\n")
    done = setup(
        executable(
            tmp_path / "python3",
            f'#!/bin/sh\ncase "$*" in *--clear*) echo making anew >&2; exit 1;; esac\nexec {sys.executable} "$@"\n',
        )
    )
    assert "making anew" in done.stderr


def test_help_lists_the_targets_that_there_are():
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=20, check=True)
    assert {"setup", "demo", "up", "test", "check"} <= {line.split()[1] for line in done.stdout.splitlines()}
