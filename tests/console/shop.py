"""A shop whose console is looked at: people with browsers, a release that can be run, and its traffic."""

import html
import re
from datetime import timedelta

import msgspec
from fastapi.testclient import TestClient

from assent.app import create_app
from assent.delivery import service as delivery
from assent.delivery.domain import Move
from assent.identity import service as identity
from assent.kernel.tx import SYSTEM
from assent.monitoring import service as monitoring
from assent_client.observe import Call, Feedback
from tests.approvals.shop import PROJECT, Shop

HERE = "http://127.0.0.1:8400"


class Browser(TestClient):
    """Keeps cookies, and sends forms as a person would: what the page holds, and what is typed."""

    def fields(self, page, action):
        form = re.search(
            rf'<form method="post" action="{re.escape(html.escape(action))}"[^>]*>(.*?)</form>',
            page.text,
            re.DOTALL,
        )
        assert form, f"no form for {action} in\n{page.text}"
        inputs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form.group(1))
        return {name: html.unescape(value) for name, value in inputs}

    def submit(self, page, action, **typed):
        return self.post(action, data={**self.fields(page, action), **typed}, headers={"origin": HERE})


class Console(Shop):
    """A shop behind its whole application."""

    n = 0

    def browser(self):
        if not hasattr(self, "app"):
            self.app = create_app(self.desk.runtime)
        return Browser(self.app, base_url=HERE, follow_redirects=False)

    def person(self, name, *roles):
        with self.desk.begin() as tx:
            account = identity.add_person(tx, name)
            for role in roles:
                identity.bind(tx, account.id, role, "*")

    def link(self, name):
        return self.do(SYSTEM, identity.issue_link, name)

    def signed_in(self, name):
        browser = self.browser()
        answer = browser.submit(browser.get("/sign-in"), "/sign-in", code=self.link(name))
        assert answer.status_code == 303
        return browser

    def filed(self, **plan):
        """Bind the policy, adopt what is live, and file a release whose evidence is there."""
        self.bind()
        self.adopt()
        self.pass_suite()
        return self.file(**plan)

    def approved(self, **plan):
        request, rollout = self.filed(**plan)
        self.sign_in()
        self.vote("rita", request)
        return request, rollout

    def running(self, **plan):
        """Start an approved rollout; gives it as it runs."""
        return self.start(self.approved(**plan)[1])

    def traffic(self, rollout, seconds, *, canary_down, stable_down=0.05, per_s=20):
        """Send a thumb on each call, a quarter of them to the canary, and look after each second."""
        for second in range(seconds):
            rows = []
            for i in range(per_s):
                self.n += 1
                canary = i % 4 == 0
                down = (self.n * 0.6180339887) % 1 < (canary_down if canary else stable_down)
                rows += self.called(rollout, canary=canary, down=down)
            envelope = {"batch": f"b{self.n}-{second}", "instance": "gateway", "project": PROJECT}
            body = msgspec.json.encode({**envelope, "n_dropped": 0, "observations": rows})
            self.do(SYSTEM, lambda tx, body=body: monitoring.take(tx, monitoring.parse(body, tx.now()), body))
            self.clock.advance(1)
            if self.look(rollout) is Move.ROLL_BACK:
                return

    def look(self, rollout):
        """Do what the watching tick does, once."""
        found = self.read(delivery.get, rollout.id)
        sight = self.read(monitoring.look, found)
        if not self.read(monitoring.needs_writing, found, sight):
            return Move.HOLD
        return self.do(SYSTEM, monitoring.apply, found, sight)

    def called(self, rollout, *, canary, down):
        at = self.clock.now() - timedelta(milliseconds=10)
        call = Call(
            at=at, environment=rollout.environment, route=rollout.name,
            variant="canary" if canary else "stable", version=rollout.subject if canary else rollout.stable,
            serial=7, rule=None, reason="split", rollout=rollout.id, unit=f"u{self.n}", sticky=True,
            stream=False, completion_id=f"cmpl-{self.n}", status=200, error_class=None, latency_s=0.2,
            ttft_s=None, tokens_in=10, tokens_out=5, finish_reason="stop", response_model="m",
            as_approved=True, application="key_1",
        )  # fmt: skip
        thumb = Feedback(
            at=at, environment=rollout.environment, completion_id=call.completion_id,
            value=0.0 if down else 1.0, comment=None, matched=True, application="key_1",
        )  # fmt: skip
        return [call, thumb]


def page_of(rollout):
    return f"/projects/{PROJECT}/rollouts/{rollout.id}"


def words_of(answer):
    """Give the text of a page as it is read: tags gone, white space single."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())
