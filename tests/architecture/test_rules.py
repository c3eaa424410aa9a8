"""Every house rule holds, and every rule is one that can break: a planted violation of it is found."""

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from assent.identity.domain import Permission
from tests.architecture import house_rules as rules
from tests.architecture import source_rules as sources
from tests.architecture import table_rules

S = "packages/assent/src/assent"
C = "packages/assent-client/src/assent_client"
PROJECTION = "@projections.on(Made)\ndef _made(conn, r):\n    conn.execute({})\n"
EVENT = 'class {}(Event):\n    TYPE: ClassVar[str] = "{}"\n'

CASES: list[tuple[Callable[[Path], list[str]], Mapping[str, str], str]] = [
    (rules.other_slices_doors, {f"{S}/alpha/service.py": "from assent.beta import store\n"}, "through store"),
    (rules.other_slices_doors, {f"{S}/alpha/service.py": "from assent.beta.http import router\n"}, "through http"),
    (rules.other_slices_doors, {f"{S}/alpha/service.py": "from ..beta.jobs import run\n"}, "through jobs"),
    (rules.other_slices_doors, {f"{S}/console/home.py": "import assent.beta.store.rows\n"}, "through store"),
    (rules.impure_domains, {f"{S}/alpha/domain.py": "import sqlalchemy\n"}, "sqlalchemy"),
    (rules.impure_domains, {f"{S}/alpha/domain/rates.py": "import numpy as np\n"}, "numpy"),
    (rules.impure_domains, {f"{S}/alpha/domain.py": "from assent.kernel.tx import Tx\n"}, "kernel.tx"),
    (rules.impure_domains, {f"{S}/alpha/domain.py": "from assent_client.api import Api\n"}, "assent_client.api"),
    (rules.long_files, {f"{S}/alpha/service.py": "x = 1\n" * 401}, "401 lines"),
    (rules.long_functions, {f"{C}/long.py": "def f():\n" + "    x = 1\n" * 60}, "61 lines"),
    (rules.asserts, {f"{C}/pure.py": "assert True\n"}, "assert"),
    (rules.strange_files, {f"{S}/alpha/helpers.py": ""}, "alpha.helpers"),
    (rules.strange_files, {f"{S}/alpha/models/one.py": ""}, "alpha.models"),
    (rules.undeclared_folders, {f"{S}/gamma/domain.py": ""}, "gamma"),
    (rules.unlisted_public_names, {f"{C}/api.py": '__all__ = ["a"]\n'}, "names a"),
    (rules.unlisted_public_names, {f"{C}/api.py": "__all__ = []\ndef a(): ...\n"}, "a is public"),
    (rules.empty_words, {f"{S}/alpha/service.py": "class RouteManager: ...\n"}, "manager"),
    (rules.empty_words, {f"{S}/alpha/service.py": "def get_user_data(): ...\n"}, "data"),
    (rules.empty_words, {f"{S}/alpha/utils.py": ""}, "util"),
    (rules.misnamed_events, {f"{S}/alpha/domain.py": EVENT.format("Made", "beta.thing.made")}, "stands in"),
    (rules.misnamed_events, {f"{S}/alpha/service.py": EVENT.format("Made", "alpha.thing.made")}, "stands in"),
    (rules.misnamed_events, {f"{S}/alpha/domain.py": EVENT.format("Make", "alpha.thing.make")}, "slice.noun.past"),
    (rules.misnamed_events, {f"{S}/alpha/domain.py": EVENT.format("Made", "alpha.made")}, "slice.noun.past"),
    (rules.misnamed_events, {f"{S}/alpha/domain.py": EVENT.format("A", "alpha.x.made") * 2}, "twice"),
    (table_rules.undeclared_tables, {f"{S}/alpha/store.py": 't = sa.Table("alpha_t", metadata)\n'}, "kernel.db.table"),
    (table_rules.undeclared_tables, {f"{S}/alpha/store.py": 't = table("alpha_t", kind="other")\n'}, "one of"),
    (table_rules.undeclared_tables, {f"{S}/alpha/store.py": 't = table("alpha_t")\n'}, "one of"),
    (table_rules.undeclared_tables, {f"{S}/alpha/store.py": 't = table("beta_t", kind="body")\n'}, "belongs"),
    (table_rules.reading_projections, {f"{S}/alpha/store.py": PROJECTION.format("select(t)")}, "select"),
    (table_rules.reading_projections, {f"{S}/alpha/store.py": PROJECTION.format("clock.now()")}, "now"),
    (
        table_rules.unrecorded_writes,
        {f"{S}/alpha/store.py": 't = table("alpha_t", kind="governed")\ndef f(tx):\n    tx.conn.execute(update(t))\n'},
        "writes t",
    ),
    (
        table_rules.unrecorded_writes,
        {
            f"{S}/alpha/store.py": 't = table("alpha_t", kind="governed")\n',
            f"{S}/alpha/service.py": "def f(tx):\n    tx.conn.execute(store.t.delete())\n",
        },
        "writes store.t",
    ),
    (
        table_rules.unrecorded_writes,
        {
            f"{S}/alpha/store.py": 't = table("alpha_t", kind="governed")\n'
            + PROJECTION.format("_change()")
            + "def _change():\n    return update(t)\ndef also(tx):\n    tx.conn.execute(_change())\n"
        },
        "_change writes t",
    ),
    (table_rules.commits, {f"{S}/alpha/service.py": "def f(session):\n    with session.begin(): ...\n"}, "begin"),
    (sources.silent_exceptions, {f"{C}/x.py": "x = 1  # noqa: BLE001\n"}, "without a reason"),
    (sources.late_work, {f"{C}/x.py": "# TO" "DO: later\n"}, "left for later"),
]  # fmt: skip


@pytest.mark.parametrize("rule", dict.fromkeys(case[0] for case in CASES), ids=lambda rule: rule.__name__)
def test_the_rule_holds(rule):
    assert rule(rules.ROOT) == []


@pytest.mark.parametrize(("rule", "files", "words"), CASES, ids=[f"{c[0].__name__}-{c[2]}" for c in CASES])
def test_a_planted_violation_is_found(rule, files, words, tmp_path):
    shutil.copy(rules.ROOT / "pyproject.toml", tmp_path)
    for base in ("alpha/__init__.py", "beta/__init__.py", "beta/domain.py"):
        plant(tmp_path, f"{S}/{base}", "")
    before = rule(tmp_path)
    for path, text in files.items():
        plant(tmp_path, path, text)
    assert any(words in line for line in set(rule(tmp_path)) - set(before))


def plant(root: Path, path: str, text: str) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def test_a_part_of_a_projection_may_write_and_a_projection_that_only_assigns_is_fine(tmp_path):
    plant(
        tmp_path,
        f"{S}/alpha/store.py",
        't = table("alpha_t", kind="governed")\nb = table("alpha_b", kind="body")\n'
        + PROJECTION.format("insert(t)")
        + "def _part(conn: Writer) -> None:\n    conn.execute(t.update())\n"
        + PROJECTION.replace("_made", "_moved").format("_change(r)")
        + "def _change(r):\n    return _where(r).values(a=1)\ndef _where(r):\n    return sa.update(t)\n"
        + "def body(tx):\n    tx.conn.execute(insert(b))\n",
    )
    assert table_rules.unrecorded_writes(tmp_path) == []
    assert table_rules.reading_projections(tmp_path) == []


def test_permissions_read_slice_noun_verb_and_are_named_by_noun_and_verb():
    known = set(rules.server_slices())
    for permission in Permission:
        assert rules.PERMISSION.match(permission)
        assert permission.split(".")[0] in known
        verb = permission.split(".")[2].upper()
        assert re.search(rf"_{verb}$", permission.name), f"{permission.name} must end with _{verb}"


def test_every_module_of_the_packages_is_read():
    names = {module.name for module in rules.modules()}
    assert {"assent", "assent.kernel.tx", "assent_client.errors", "assent_client.verify.merkle"} <= names
