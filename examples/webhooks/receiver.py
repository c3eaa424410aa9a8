"""Receive Assent's webhooks on this machine: verify, handle each once, answer at once.

WEBHOOK_SECRET=whsec_… python examples/webhooks/receiver.py [PORT]

During a rotation WEBHOOK_SECRET holds both secrets, with a space between them.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from assent_client.verify.webhook import WebhookError, verify_webhook

MAX_BYTES = 1_000_000
SECRETS = os.environ["WEBHOOK_SECRET"].split()
handled: set[str] = set()
"""Ids that were handled. Keep them where they outlive the process, for as long as you redeliver by hand."""


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 for what is verified, whether it is new or not, and 400 for all else."""

    def do_POST(self) -> None:
        """Verify the exact bytes, then look whether the id is new."""
        body = self.rfile.read(min(int(self.headers.get("content-length", 0)), MAX_BYTES))
        try:
            webhook = verify_webhook(body, dict(self.headers), SECRETS)
        except WebhookError as error:
            self.log_message("refused: %s", str(error))
            self.send_error(400)
            return
        if webhook.id not in handled:
            handled.add(webhook.id)
            print(webhook.type, webhook.data["about"], webhook.data["link"], flush=True)
        self.send_response(204)
        self.end_headers()


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8499
    HTTPServer(("127.0.0.1", port), Receiver).serve_forever()
