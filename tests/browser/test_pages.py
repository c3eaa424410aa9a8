"""The pages of the console that links reach, narrow and wide, light and dark: axe-core finds nothing, nothing is too wide."""

import re
from collections import defaultdict
from urllib.parse import urlsplit

import pytest

from assent.console.routes import ROUTERS
from assent.flags import service as flags
from assent.monitoring import service as monitoring
from tests.approvals.shop import PROJECT
from tests.browser.chromium import LOOKS, WIDTHS, overflow, show, sign_in, violations
from tests.console.shop import page_of
from tests.console.test_rollout import TEST

NO_PAGES = {
    "/sign-in/oidc/{provider}", "/sign-in/oidc/{provider}/callback",  # lead to a provider
    "/projects/{project}/ledger/export", "/projects/{project}/cards/{name}/{number}/exports/{form}",  # files
    "/projects/{project}/rollouts/{rollout_id}/live", "/projects/{project}/monitoring/live",  # parts of pages
}  # fmt: skip
PER_ROUTE = 2
"""Pages of one route that are looked at, of those that links lead to."""
PATTERNS = [
    (route.path, re.compile(re.sub(r"\\?\{\w+\\?\}", "[^/]+", re.escape(route.path)) + r"\Z"))
    for router in ROUTERS
    for route in router.routes
    if "GET" in route.methods and route.path not in NO_PAGES
]


def route_of(path):
    return next((name for name, pattern in PATTERNS if pattern.match(path)), None)


def furnish(house, runs, strategy):
    """Bring something for every page: what runs, flags, an incident; gives the pages to begin with."""
    rollout = house.running(**strategy)
    if "preview" not in strategy:
        house.traffic(rollout, 9, canary_down=0.05)
    for environment in ("staging", "production"):
        place = flags.Place(project=PROJECT, environment=environment, name="new-search")
        house.do(
            "ada", flags.create, flags.Change(place=place, form={"split": {"on": 0.2}}, reason="a trial")
        )
    opened = monitoring.incidents.NewIncident(environment="production", title="Answers in the wrong language")
    incident = house.do("otto", monitoring.incidents.open_, PROJECT, opened)
    at = f"/projects/{PROJECT}"
    return [
        "/", page_of(rollout), f"{page_of(rollout)}/rollback", f"{at}/requests/{rollout.request}", f"{at}/flags",
        f"{at}/flags/staging/new-search", f"{at}/flags/staging/new-search/switch-off",
        f"{at}/flags/staging/new-search/rule-add?rule=germans&when=country+in+DE&gives=on", f"{at}/monitoring",
        f"{at}/alerts", f"{at}/incidents", f"{at}/incidents/{incident.id}", f"{at}/evaluations",
        f"{at}/evaluations/{runs[0].id}/compare?other={runs[1].id}", f"{at}/labelling", f"{at}/retirement",
        f"{at}/prompts", f"{at}/ledger", f"{at}/cards/support/2.1.0", f"{at}/cards/support/2.1.0/form",
        "/account", "/sign-in",
    ]  # fmt: skip


def walk(page, house, begin):
    """Follow the links of the pages; gives each page's address once it is open."""
    seen, waiting = defaultdict(list), [*begin]
    while waiting:
        address = waiting.pop(0)
        path = urlsplit(address).path
        route = route_of(path)
        if route is None or path in seen[route] or (len(seen[route]) >= PER_ROUTE and address not in begin):
            continue
        seen[route].append(path)
        answer = page.goto(house.address + address)
        yield route, path, answer.status
        links = page.eval_on_selector_all("main a[href], nav a[href]", "all => all.map(one => one.href)")
        waiting += [
            link.removeprefix(house.address).split("#")[0] for link in links if link.startswith(house.address)
        ]


BLUE_GREEN = {
    "strategy": "blue_green",
    "preview": {"header": "green", "audience": [{"attribute": "user", "op": "in", "value": ["qa-1", "qa-2"]}]},
    "steps": None, "guards": None, "detect": None,
}  # fmt: skip


def look_at(page, house, begin, look):
    """Give what is wrong on the pages that are reached, and how many those were."""
    wrong, routes = [], set()
    for route, path, status in walk(page, house, begin):
        routes.add(route)
        name = path.strip("/").replace("/", "_") or "home"
        found = violations(page)
        if overflow(page):
            found.append(f"{overflow(page)} px too wide")
        if status != 200:
            found.append(f"answered {status}")
        show(page, look, name[:80])
        wrong += [f"{path}: {one}" for one in found]
    return wrong, routes


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_what_links_reach_is_accessible_and_fits(house, visit, runs, width, scheme):
    begin = furnish(house, runs, {"block_s": 1})
    house.person("vera", "admin", "engineer", "reviewer", "operator")
    page = visit(viewport=WIDTHS[width], color_scheme=scheme)
    sign_in(page, house, "vera")

    wrong, routes = look_at(page, house, begin, f"{width}-{scheme}")

    assert not wrong, "\n".join(wrong)
    assert len(routes) >= 25, sorted(routes)


@pytest.mark.parametrize(("name", "strategy"), [("ab", TEST), ("blue-green", BLUE_GREEN)])
def test_every_strategy_is_accessible_and_fits(house, visit, runs, name, strategy):
    rollout_page = furnish(house, runs, strategy)[1]
    for width, scheme in LOOKS:
        page = visit(viewport=WIDTHS[width], color_scheme=scheme)
        sign_in(page, house, "otto")
        for part in ("", "/slices") if name == "ab" else ("",):
            page.goto(f"{house.address}{rollout_page}{part}")

            assert violations(page) == []
            assert overflow(page) == 0
            show(page, f"{width}-{scheme}", f"rollout-{name}{part.replace('/', '-')}")
