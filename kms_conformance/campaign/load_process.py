"""The process that sends a load with Locust: an order as one line of JSON on standard input, figures on standard output.

A process of its own, because Locust replaces the sockets of everything around it.
"""

from __future__ import annotations

import locust  # isort: skip  # replaces sockets, so it comes first
import json
import random
import ssl
import sys
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import gevent
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment

from kms_conformance.campaign.load_figures import Seen


def user_of(order: Mapping[str, Any], seen: Seen) -> type[FastHttpUser]:
    """Return the class of Locust's users: each sends one operation after the other, by weight."""
    operations = order["operations"]
    weights = [operation["weight"] for operation in operations]
    pause = order["users"] / order["per_second"] if order["per_second"] else 0.0
    chosen = random.Random(1)  # noqa: S311 - a mix, not a secret

    class User(FastHttpUser):  # type: ignore[misc]  # Locust may be missing where types are checked
        host = order["base_url"]
        connection_timeout = network_timeout = order["timeout"]
        insecure = False  # Locust's own default checks no certificate, and these requests carry a token
        ssl_context_factory = staticmethod(
            partial(ssl.create_default_context, cafile=order["ca_file"] or None)
        )
        wait_time = locust.constant_pacing(pause)

        @locust.task  # type: ignore[untyped-decorator]  # same
        def send(self) -> None:
            (operation,) = chosen.choices(operations, weights)
            began = time.perf_counter()
            with self.client.request(
                operation["method"],
                operation["path"],
                name=operation["name"],
                headers={**operation["headers"], **order["authorization"]},
                json=operation["body"],
                catch_response=True,
            ) as answer:
                seconds = time.perf_counter() - began
                seen.take(operation, answer.status_code or 0, answer.text or "", seconds)
                answer.success()

    return User


def main() -> None:
    """Read the order, send, and write the figures."""
    order = json.loads(sys.stdin.readline())
    seen = Seen()
    environment = Environment(user_classes=[user_of(order, seen)])
    runner = cast("Any", environment.create_local_runner())
    runner.start(order["users"], spawn_rate=order["users"])
    gevent.sleep(order["seconds"])
    runner.quit()
    sys.stdout.write(json.dumps(seen.document()) + "\n")


if __name__ == "__main__":
    main()
