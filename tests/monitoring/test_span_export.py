"""Observed calls on their way to a collector, over a real socket, read with OpenTelemetry's own messages."""

import dataclasses
import gzip
import json
from datetime import timedelta

import pytest
import sqlalchemy as sa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from assent.kernel.errors import Invalid
from assent.kernel.settings import load
from assent.kernel.tx import SYSTEM
from assent.monitoring import jobs, service
from assent.monitoring.domain import span_export as shape
from assent.monitoring.service import otlp, spans
from assent.monitoring.store import span_export as store
from assent.monitoring.store.tables import ROWS_PER_BATCH, batches
from assent.providers import service as providers
from assent.providers.domain import Upstream
from assent_client.cli.main import main
from tests.approvals.shop import PROJECT as SHOP
from tests.console.conftest import console, furnished  # noqa: F401 -- fixtures
from tests.monitoring.conftest import STABLE
from tests.monitoring.test_metrics import observe
from tests.notifications.conftest import Answer, receiving

OK = {"content-type": "application/x-protobuf"}


class Collector:
    """What a collector got, and a worker that sends to it."""

    def __init__(self, receiver, runtime, clock, **settings):
        self.receiver, self.clock = receiver, clock
        self.url = f"http://127.0.0.1:{receiver.port}"
        own = load(data_dir=runtime.settings.data_dir, otlp_url=self.url, **settings)
        self.runtime = dataclasses.replace(runtime, settings=own)
        self.tick()

    def tick(self, *answers):
        self.receiver.answers[:] = [*answers, *(Answer(200, OK) for _ in range(20))]
        jobs.export_spans(self.runtime)

    @property
    def bodies(self):
        return [gzip.decompress(one.body) for one in self.receiver.got]

    @property
    def spans(self):
        return [span for body in self.bodies for span in spans.from_protobuf(body)]

    @property
    def names(self):
        return [span.attributes["gen_ai.request.model"] for span in self.spans]

    @property
    def state(self):
        with self.runtime.session.read() as reader:
            return service.span_export.document(reader)


@pytest.fixture
def collector(running):
    with receiving() as receiver:
        yield Collector(receiver, running.runtime, running.clock)


def take_in(desk, body, project):
    sender = otlp.Sender(project, "svc", None)
    with desk.writing() as tx:
        return service.take(tx, otlp.batch_of(tx, spans.from_protobuf(body), sender, body), body)


def test_a_collector_gets_each_call_as_a_span_of_the_conventions(running, collector):
    one = running.call(
        "u1",
        "canary",
        stream=True,
        ttft_s=0.1,
        latency_s=0.25,
        rule="beta",
        guardrails=("pii", "secrets"),
        unguarded=True,
    )
    running.send(one, running.call("u2", status=502, error_class="upstream", finish_reason=None))
    running.send(running.thumb(one, 0.0))
    collector.tick()
    (got,) = collector.receiver.got
    assert got.path == "/v1/traces"
    assert {
        "content-type": "application/x-protobuf",
        "content-encoding": "gzip",
    }.items() <= got.headers.items()
    request = ExportTraceServiceRequest.FromString(gzip.decompress(got.body))
    first, second = request.resource_spans[0].scope_spans[0].spans
    assert (first.name, first.kind, len(first.trace_id), len(first.span_id)) == ("chat assistant", 3, 16, 8)
    assert (first.status.code, second.status.code) == (0, 2)
    assert abs(first.end_time_unix_nano - one.at.timestamp() * 1e9) < 1000
    assert first.end_time_unix_nano - first.start_time_unix_nano == 250_000_000
    assert collector.spans[0].attributes == {
        "service.name": "assent",
        "deployment.environment.name": "production",
        "assent.project": "acme",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "assistant",
        "gen_ai.response.model": "m",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.request.stream": True,
        "gen_ai.response.time_to_first_chunk": 0.1,
        "http.response.status_code": 200,
        "assent.version": one.version,
        "assent.variant": "canary",
        "assent.rule": "beta",
        "assent.reason": "split",
        "assent.rollout": "ro_1",
        "assent.serial": 7,
        "assent.as_approved": True,
        "assent.guardrails": ("pii", "secrets"),
        "assent.unguarded": True,
        "assent.application": "key_1",
    }
    assert collector.spans[1].attributes["error.type"] == "upstream"
    assert (collector.state["n_sent"], collector.state["behind_s"], collector.state["error"]) == (2, 0, None)
    collector.tick()
    assert len(collector.receiver.got) == 1


def test_embeddings_are_called_so(running, collector):
    running.send(running.call("u1"), running.call("u2", operation="embeddings"))
    collector.tick()
    assert [span.attributes["gen_ai.operation.name"] for span in collector.spans] == ["chat", "embeddings"]
    request = ExportTraceServiceRequest.FromString(gzip.decompress(collector.receiver.got[0].body))
    names = [span.name for span in request.resource_spans[0].scope_spans[0].spans]
    assert names == ["chat assistant", "embeddings assistant"]


def test_what_is_sent_and_taken_in_again_gives_the_same_figures(running, collector):
    running.send(
        *(running.call(f"u{n}", latency_s=0.1 * n, ttft_s=0.05 * n, tokens_in=n) for n in range(1, 30)),
        running.call("x", status=500),
        running.call("y", status=499, error_class="client_left"),
        running.call("z", status=404),
        running.call("v", status=0, error_class="timeout", tokens_in=None, tokens_out=None),
        running.call("w", finish_reason="content_filter"),
    )
    collector.tick()
    (body,) = collector.bodies
    assert take_in(running, body, "elsewhere")["n_accepted"] == 34
    ours, theirs = (
        running.read(service.live.by_version, project, last_s=600)[0] for project in ("acme", "elsewhere")
    )
    same = ("route", "n_calls", "errors", "refusals", "latency_s", "ttft_s", "tokens_in", "tokens_out")
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    assert ours["errors"]["rate"] > 0


def test_calls_that_came_in_as_spans_are_not_sent(running, collector):
    running.send(running.call("u1"))
    collector.tick()
    take_in(running, collector.bodies[0], "elsewhere")
    assert collector.state["behind_s"] == 0
    collector.tick()
    running.send(running.call("u2", route="later"))
    collector.tick()
    assert collector.names == ["assistant", "later"]
    assert collector.state["n_sent"] == 2


def test_only_what_comes_after_the_collector_was_named_is_sent(running):
    running.send(running.call("u1", route="before"))
    with receiving() as receiver:
        found = Collector(receiver, running.runtime, running.clock)
        running.send(running.call("u2", route="after"))
        found.tick()
        assert found.names == ["after"]
        jobs.export_spans(running.runtime)
        assert found.state is None


def test_a_collector_that_is_away_gets_the_calls_when_it_is_back(running, collector):
    running.send(running.call("u1"))
    collector.tick(Answer(503, {"retry-after": "120"}))
    state = collector.state
    assert (state["n_failures"], state["n_sent"]) == (1, 0)
    assert state["error"] == "The receiver answered 503."
    assert state["retry_at"] == running.clock.now() + timedelta(seconds=120)
    running.clock.advance(119)
    collector.tick()
    assert len(collector.receiver.got) == 1
    running.clock.advance(1)
    collector.tick(Answer(429))
    running.clock.advance(300)
    collector.tick()
    once = {(span.trace, span.id) for span in collector.spans}
    assert (len(collector.spans), len(once)) == (3, 1)
    assert (collector.state["n_sent"], collector.state["n_failures"], collector.state["error"]) == (
        1,
        0,
        None,
    )


def test_nobody_answers_and_nothing_is_lost_before_the_ring_ends(running, collector):
    running.send(running.call("u1"), running.call("u2"))
    collector.receiver.server.server_close()
    collector.tick()
    assert "did not answer" in collector.state["error"]
    running.clock.advance(2 * 86_400 + 1)
    running.send(running.call("u3"))
    jobs.prune(running.runtime)
    state = collector.state
    assert (state["n_dropped"], state["n_sent"], state["behind_s"]) == (2, 0, 0)
    jobs.prune(running.runtime)
    assert collector.state["n_dropped"] == 2


def test_what_a_collector_will_never_take_is_passed_over_and_counted(running, collector):
    page = service.span_export.PAGE
    running.send(*(running.call(f"u{n}") for n in range(2 * page + 1)))
    partial = ExportTraceServiceResponse()
    partial.partial_success.rejected_spans = 1
    partial.partial_success.error_message = "too old\n"
    collector.tick(Answer(400), Answer(200, OK, partial.SerializeToString()), Answer(200, OK, b"{}"))
    assert len({span.id for span in collector.spans}) == 2 * page + 1
    state = collector.state
    assert (state["n_refused"], state["n_sent"]) == (page + 1, page)
    assert state["error"] == "The collector took the spans; its answer is no OTLP in protobuf."
    running.send(running.call("u6"))
    collector.tick(Answer(200, OK, partial.SerializeToString()))
    assert collector.state["error"] == "The collector did not take 1 spans: too old "


def test_a_batch_that_is_late_is_waited_for(running, collector):
    running.send(running.call("u1", route="first"))
    with running.writing() as tx:  # as PostgreSQL shows it while the batch between is not committed
        between = tx.conn.execute(sa.select(sa.func.max(batches.c.seq))).scalar() + 1
        tx.conn.execute(sa.update(batches).where(batches.c.seq == between - 1).values(seq=between))
        assert (
            store.settled(tx.conn, (between - 1) * ROWS_PER_BATCH, running.clock.now().timestamp() - 60)
            == (between - 1) * ROWS_PER_BATCH
        )
        late = running.clock.now().timestamp() + 61
        assert (
            store.settled(tx.conn, (between - 1) * ROWS_PER_BATCH, late - 60)
            == (between + 1) * ROWS_PER_BATCH
        )


def test_of_two_workers_one_moves_on(running, collector):
    running.send(running.call("u1"))
    page = running.read(service.span_export.due)
    sent = service.span_export.send(service.span_export.outside_to(collector.runtime), page)
    with running.writing() as tx:
        assert service.span_export.settle(tx, page, sent)
        assert not service.span_export.settle(tx, page, sent)
    assert collector.state["n_sent"] == 1


def test_another_collector_goes_on_where_the_first_was(running, collector):
    running.send(running.call("u1"))
    collector.tick(Answer(401))
    with receiving() as receiver:
        other = Collector(receiver, running.runtime, running.clock)
        other.tick()
        assert other.names == ["assistant"]
        assert other.state["target"] == other.url


def test_headers_are_read_where_they_are_and_told_to_nobody_else(running, monkeypatch, caplog):
    monkeypatch.setenv("COLLECTOR", "authorization=Bearer%20s3cret, x-team = risk")
    with receiving() as receiver:
        found = Collector(receiver, running.runtime, running.clock, otlp_headers="env:COLLECTOR")
        running.send(running.call("u1"))
        found.tick()
        (got,) = receiver.got
        assert (got.headers["authorization"], got.headers["x-team"]) == ("Bearer s3cret", "risk")
        monkeypatch.delenv("COLLECTOR")
        running.send(running.call("u2"))
        found.tick()
        assert found.state["error"] == "The key env:COLLECTOR is not set in this process."
        assert "s3cret" not in f"{found.state}{caplog.text}"


@pytest.mark.parametrize("text", ["bearer s3cret", "a b=s3cret", "x=s3cret%0d%0aevil:1", "x=s3crét", ","])
def test_wrong_headers_are_refused_without_repeating_them(text):
    with pytest.raises(Invalid, match="ASSENT_OTLP_HEADERS") as refused:
        shape.parse_headers(text)
    assert "s3cr" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["ftp://c:4318", "http://user:pw@c:4318", "http://169.254.169.254.:99999", "http://2852039166"]
)
def test_a_wrong_address_of_a_collector_stops_the_start(url):
    with pytest.raises(Invalid, match="ASSENT_OTLP_URL"):
        load(otlp_url=url)


def test_a_collector_is_never_where_machines_get_their_credentials(running):
    runtime = dataclasses.replace(
        running.runtime,
        settings=load(data_dir=running.runtime.settings.data_dir, otlp_url="http://169.254.1.1"),
    )
    page = service.span_export.Page(0, 1, 1, b"")
    outcome = service.span_export.send(service.span_export.outside_to(runtime), page)
    assert "metadata" in outcome.error


def test_what_is_not_known_is_left_out():
    values = dict.fromkeys(shape.Observed._fields)
    values |= {"project": "p", "environment": "e", "route": "r", "version": STABLE, "completion": "c"}
    values |= {"at": 0.5, "latency_s": 1.0, "status": 500, "serial": 1, "stream": False, "variant": ""}
    values |= {"operation": "chat"}
    bare = shape.Observed(**values)
    assert shape.begin_and_end(bare) == (0, 500_000_000)
    assert shape.attributes_of(bare, shape.Asked()) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "r",
        "gen_ai.request.stream": False,
        "error.type": "500",
        "http.response.status_code": 500,
        "assent.version": STABLE,
        "assent.serial": 1,
    }


def test_a_span_names_the_version_and_what_kind_of_provider_answered(console):  # noqa: F811
    console.do("root", providers.set_provider, SHOP, "acme", Upstream(base_url="http://u", kind="azure"))
    version = console.version("2.0.0")
    with receiving() as receiver:
        found = Collector(receiver, console.desk.runtime, console.clock)
        observe(console, version.digest)
        found.tick()
        assert {
            (one.attributes["assent.ref"], one.attributes["gen_ai.provider.name"]) for one in found.spans
        } == {("support@2.0.0", "azure.ai.openai")}
        page = console.signed_in("ada").get(f"/projects/{SHOP}/monitoring").text
        assert f"Spans to {found.url}: 3 sent, 0 s behind" in page


def test_an_operator_sees_how_the_sending_goes(served, monkeypatch, capsys):
    monkeypatch.setenv("ASSENT_URL", served.url)
    monkeypatch.setenv("ASSENT_TOKEN", served.tokens["admin"])
    assert main(["monitor", "spans", "--json"]) == 13
    assert "ASSENT_OTLP_URL" in capsys.readouterr().err
    desk = served.desk
    with receiving() as receiver:
        found = Collector(receiver, desk.runtime, desk.clock)
        desk.send(desk.call("u1"))
        found.tick(Answer(503))
        capsys.readouterr()
        assert main(["monitor", "spans", "--json"]) == 1
        said = json.loads(capsys.readouterr().out)
        assert (said["target"], said["n_failures"], said["error"]) == (
            found.url,
            1,
            "The receiver answered 503.",
        )
        metrics = service.exposition.exposition(service.exposition.registry_of(desk.runtime)).decode()
        assert 'assent_spans_lost{because="dropped"} 0.0' in metrics
        with desk.session.begin(SYSTEM) as tx:
            service.span_export.follow(tx, "")
        assert (
            "assent_spans"
            not in service.exposition.exposition(service.exposition.registry_of(desk.runtime)).decode()
        )
