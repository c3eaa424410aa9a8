"""When tokens were used last: kept beside the calls, and never in their way."""

import threading
from concurrent.futures import ThreadPoolExecutor

from assent.identity import service
from assent.kernel.tx import SYSTEM

N = 8


def test_first_uses_of_one_token_at_once_refuse_nobody(installation):
    person = installation.person("ada", "auditor")
    secrets = [installation.token(person) for _ in range(5)]
    with installation.read() as reader:
        tokens = [service.authenticate(reader, secret).token for secret in secrets]
    start = threading.Barrier(N)

    def use(token):
        start.wait(10)
        with installation.begin(SYSTEM) as tx:
            service.note_use(tx, token)

    with ThreadPoolExecutor(N) as threads:
        for token in tokens:
            list(threads.map(use, [token] * N))
    with installation.read() as reader:
        assert not any(service.use_is_old(reader, token) for token in tokens)
