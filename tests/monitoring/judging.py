"""A judge on loopback that says what tests have it say, its passport, and samples for it to grade."""

import json
import threading
import uuid
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import sqlalchemy as sa

from assent.delivery import service as delivery
from assent.delivery.domain.sampling import Wanted
from assent.evaluation.domain.events import JudgeCalibrated
from assent.evaluation.domain.judge import parse_judge
from assent.identity import store as identity_tables
from assent.identity.domain import ProjectCreated
from assent.kernel.canonical import canonical
from assent.kernel.clock import to_text
from assent.kernel.sealing import box_key
from assent.monitoring import jobs
from assent.providers import service as providers
from assent_client.observe import Sample
from assent_client.sealed import seal_to

PARSER = {"labels": ["good", "bad"], "positive": "good"}


class Judge(ThreadingHTTPServer):
    """`says` gives the reply to what it is asked: a text, or a status to refuse with.

    Other models than the judge's answer as `answers` says.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Bench)
        self.says = lambda asked: "bad" if "BAD" in asked else "good"
        self.answers = lambda model: f"I am {model}."
        self.asked = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


def completion(model, said):
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    whole = {"id": f"c-{uuid.uuid4().hex}", "object": "chat.completion", "created": 1, "model": model}
    return {**whole, "choices": [choice], "usage": usage}


class Bench(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked = body["messages"][-1]["content"]
        self.server.asked.append(asked)
        said = self.server.says(asked) if body["model"] == "judge-1" else self.server.answers(body["model"])
        status = said if isinstance(said, int) else 200
        told = {"error": asked} if status != 200 else completion(body["model"], said)
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextmanager
def judging():
    judge = Judge()
    thread = threading.Thread(target=judge.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield judge
    finally:
        judge.shutdown()
        judge.server_close()
        thread.join(5)


def document(**changes):
    return {
        "provider": "judges",
        "model": "judge-1",
        "prompt": "Is the answer good?",
        "parameters": {},
        "parser": PARSER,
        **changes,
    }


def calibrate(tx, raw, *, project="acme", system="assistant", usable=True, days=30):
    """Record the passport of a judge, as a calibration does."""
    judge = parse_judge(raw)
    figures = {"ends_at": to_text(tx.now() + timedelta(days=days)), "youden": {"estimate": "0.8"}}
    tx.record(
        JudgeCalibrated(
            id=f"pass_{tx.now().timestamp():.0f}_{usable}",
            project=project,
            name="polite",
            judge=judge.digest,
            document=tx.blobs.put(canonical(judge.document)),
            subject="sha256:" + "aa" * 32,
            subject_ref=f"{system}@2.0.0",
            labels=tx.blobs.put(b"[]"),
            n_labels=0,
            usable=usable,
            figures={key: canonical(value).decode() for key, value in figures.items()},
        )
    )


PLACE = delivery.Place(project="acme", environment="production", name="assistant")


def wanted(**changes):
    return Wanted(**{"judge": "polite", "share": Decimal("0.5"), "per_day": 1000, "keep_days": 7, **changes})


def set_up(desk, judge, **changes):
    """Have the judge grade the calls of the desk's assistant."""
    with desk.writing() as tx:
        if not tx.conn.execute(sa.select(identity_tables.projects.c.name)).first():
            tx.record(ProjectCreated(project="acme", title="Acme"))
        providers.set_provider(tx, "acme", "judges", providers.Upstream(base_url=judge.url))
        calibrate(tx, document())
    return set_sampling(desk, **changes)


def set_sampling(desk, **changes):
    with desk.writing() as tx:
        return delivery.set_sampling(tx, PLACE, wanted(**changes), desk.runtime.signers.secret, "to see")


def sample(desk, call, answer="Fine.", question="Hi?", **changes):
    """Make the sample of a call, as a gateway does."""
    desk.n += 1
    name = f"{desk.n:032x}"
    public = box_key(desk.runtime.signers.secret, delivery.SEALED_FOR).public_key().public_bytes_raw()
    content = msgspec.json.encode({"question": question, "answer": answer})
    fields = ("at", "environment", "route", "variant", "version", "rule", "reason", "rollout", "unit")
    values = {field: getattr(call, field) for field in fields}
    told = {"sealed": seal_to(public, name, content), "n_redacted": 0, "is_cut": False}
    return Sample(**{**values, **told, "id": name, "completion_id": call.completion_id, **changes})


def tick(desk):
    """Do what the worker does every five seconds, once."""
    jobs.judge(desk.runtime)
