"""All pages, for the composition root to mount."""

from fastapi import FastAPI

from assent.console import (
    account,
    alerts,
    card,
    card_form,
    compliance,
    discussion_forms,
    evaluations,
    flag_forms,
    flags,
    home,
    incidents,
    judges,
    keys,
    labelling,
    leaf,
    ledger,
    monitoring,
    notifications,
    oidc,
    people,
    policies,
    previews,
    prompt,
    request,
    retirement,
    retirement_forms,
    rollout,
    search,
    sign_in,
    slices,
    system,
    version,
    watches,
)
from assent.web.headers import SecurityHeaders
from assent.web.routing import routes_of
from assent.web.static_files import static_route

ROUTERS = (
    sign_in.router,
    oidc.router,
    account.router,
    home.router,
    system.router,
    version.router,
    search.router,
    prompt.router,
    request.router,
    discussion_forms.router,
    slices.router,
    rollout.router,
    monitoring.router,
    alerts.router,
    incidents.router,
    watches.router,
    previews.router,
    flags.router,
    flag_forms.router,
    retirement.router,
    retirement_forms.router,
    leaf.router,
    people.router,
    keys.router,
    policies.router,
    card.router,
    card_form.router,
    compliance.router,
    notifications.router,
    ledger.router,
    evaluations.router,
    labelling.router,
    judges.router,
)


_ROUTES = routes_of(ROUTERS)


def install_console(app: FastAPI) -> None:
    """Mount pages and static files, and have every answer carry the security headers."""
    app.router.routes.extend(_ROUTES)
    app.router.routes.append(static_route)
    app.add_middleware(SecurityHeaders)
