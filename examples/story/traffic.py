"""Traffic through the gateway: users with the unchanged `openai` client, new ones and returning ones."""

from __future__ import annotations

import asyncio
import collections
import hashlib
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import openai

from examples.story.processes import StoryFailed

RETURNING = 0.35
IN_FLIGHT = 64
RECENT = 1500
TICK_S = 0.02
CALL_S = 20.0
END_S = 2 * CALL_S


@dataclass(slots=True)
class Seen:
    """What the users saw; times are seconds since the epoch."""

    n: int = 0
    n_returning: int = 0
    n_failed: int = 0
    failures: collections.Counter[str] = field(default_factory=collections.Counter)
    by_version: collections.Counter[str] = field(default_factory=collections.Counter)
    last_start: dict[str, float] = field(default_factory=dict)
    thumbs_down: collections.Counter[str] = field(default_factory=collections.Counter)
    began_at: float = 0.0
    ended_at: float = 0.0

    @property
    def rate(self) -> float:
        """Requests a second over the whole time."""
        return self.n / max(1e-9, self.ended_at - self.began_at)


@dataclass(frozen=True, slots=True)
class Audience:
    """Who calls: which model name, which questions, how often, and who is unhappy with which version."""

    url: str
    key: str
    model: str
    questions: Sequence[str]
    rate: float
    unhappy: Callable[[str], float]
    """Share of users that dislike a version's answers, by `name@version`."""
    seed: int = 7


class Traffic:
    """Runs on a thread of its own until stopped; a user keeps one opinion of a version."""

    def __init__(self, audience: Audience) -> None:
        self._audience = audience
        self._random = random.Random(audience.seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="traffic", daemon=True)
        self._recent: collections.deque[str] = collections.deque(maxlen=RECENT)
        self._n_users = 0
        self.seen = Seen()

    def start(self) -> Traffic:
        """Begin."""
        self._thread.start()
        return self

    def stop(self) -> Seen:
        """End, and give what was seen. Raises: StoryFailed when calls hang."""
        self._stop.set()
        self._thread.join(END_S)
        if self._thread.is_alive():
            raise StoryFailed(f"calls in flight had no answer {END_S:.0f} s after the last was sent")
        return self.seen

    async def _run(self) -> None:
        room = asyncio.Semaphore(IN_FLIGHT)
        self.seen.began_at = time.time()
        async with (
            # The client's own transport on aiohttp takes half the CPU of its default one.
            openai.DefaultAioHttpClient(timeout=CALL_S, trust_env=False) as http,
            openai.AsyncOpenAI(
                base_url=self._audience.url, api_key=self._audience.key, http_client=http, max_retries=0
            ) as client,
            asyncio.TaskGroup() as calls,
        ):
            began, sent = time.monotonic(), 0
            while not self._stop.is_set():
                due = int((time.monotonic() - began) * self._audience.rate)
                for _ in range(due - sent):
                    await room.acquire()
                    if self._stop.is_set():  # on a busy machine many are due, and none must begin now
                        break
                    task = calls.create_task(self._call(client))
                    task.add_done_callback(lambda _: room.release())
                sent = max(sent, due)
                await asyncio.sleep(TICK_S)
        self.seen.ended_at = time.time()

    def _user(self) -> str:
        if self._recent and self._random.random() < RETURNING:
            self.seen.n_returning += 1
            return self._random.choice(self._recent)
        self._n_users += 1
        user = f"user-{self._audience.seed}-{self._n_users}"
        self._recent.append(user)
        return user

    async def _call(self, client: openai.AsyncOpenAI) -> None:
        user, seen = self._user(), self.seen
        question = self._random.choice(self._audience.questions)
        started_at = time.time()
        seen.n += 1
        try:
            raw = await client.chat.completions.with_raw_response.create(
                model=self._audience.model,
                messages=[{"role": "user", "content": question}],
                extra_body={"assent": {"unit": user}},
            )
            version = raw.headers["x-assent-version"]
            answer = raw.parse()
            seen.by_version[version] += 1
            seen.last_start[version] = max(started_at, seen.last_start.get(version, 0.0))
            if _dislikes(user, version, self._audience.unhappy(version)):
                seen.thumbs_down[version] += 1
                await client.post(
                    "/feedback", body={"completion_id": answer.id, "value": "down"}, cast_to=object
                )
        except openai.OpenAIError as error:
            seen.n_failed += 1
            seen.failures[f"{type(error).__name__}: {error}"[:200]] += 1


def _dislikes(user: str, version: str, share: float) -> bool:
    first = hashlib.blake2b(f"{user} {version}".encode(), digest_size=4).digest()
    return int.from_bytes(first, "big") < share * 2**32
