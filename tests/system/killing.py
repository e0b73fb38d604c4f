"""A slow API that counts who asks for what, and kills those who ask at moments that chance has chosen."""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

from tests.support.paged_api import Numbers, serve
from tests.support.servers import OAuthServer, Reply, Seen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from demo.standalone import Standalone

PAGES = 30
PAGE_SIZE = 20
RECORDS = PAGES * PAGE_SIZE
PAGE_S = 0.1


@dataclass(frozen=True)
class Moment:
    """
    When a process dies.

    :param request: its so many-th request, from 1
    :param delay_s: after that has arrived
    """

    request: int
    delay_s: float


def moments(chance: random.Random, count: int) -> list[list[Moment]]:
    """
    Return the moments for *count* pulls: one in each, spread over the whole pull and what comes behind the last page.

    Those that die early die once more, soon after they have gone on.
    """
    plans = []
    for number in range(count):
        progress = (number + chance.random()) / count * (PAGES + 1)
        # The API answers after PAGE_S; then the task is at work with the page.
        delay_s = chance.uniform(0, 1.5 * PAGE_S) if progress < PAGES else chance.uniform(PAGE_S, 2 * PAGE_S)
        plan = [Moment(min(int(progress) + 1, PAGES), delay_s)]
        if progress < PAGES / 2 and chance.random() < 0.5:
            plan.append(Moment(chance.randint(1, 5), chance.uniform(0, 1.5 * PAGE_S)))
        plans.append(plan)
    chance.shuffle(plans)
    return plans


def _set_event() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass
class Pull:
    """
    What became of one pull.

    :param plan: the moments that are still to come
    :param tries: the first record of each page that was asked for, by connection: every process has one of its own
    :param kills: how many processes were killed
    :param missed: the moments at which a process was done and gone already
    :param at_peace: set while nobody is about to be killed
    """

    plan: list[Moment] = field(default_factory=list)
    tries: dict[int, list[int]] = field(default_factory=dict)
    kills: int = 0
    missed: list[Moment] = field(default_factory=list)
    at_peace: threading.Event = field(default_factory=_set_event)

    def begun(self) -> list[list[int]]:
        """Return what each process that asked at all has asked for, in their order."""
        return list(self.tries.values())


class SlowApi(OAuthServer):
    """
    Serves as many pulls side by side as are asked for: the path tells them apart.

    :param plans: when the processes of a pull die, by its name
    :param airflow: the processes are its descendants
    :ivar held: names of pulls that get no second page until ``let_go`` is set
    """

    def __init__(self, plans: Mapping[str, Sequence[Moment]], airflow: Standalone) -> None:
        super().__init__()
        self.pulls: dict[str, Pull] = defaultdict(Pull, {name: Pull(list(plan)) for name, plan in plans.items()})
        self.held: set[str] = set()
        self.let_go = threading.Event()
        self._airflow = airflow
        self._pulls_lock = threading.Lock()
        serve(self, self._answer)

    def _answer(self, seen: Seen) -> Reply:
        numbers = Numbers(total=RECORDS, size=PAGE_SIZE)
        name = seen.path.removeprefix("/api/")
        pull = self.pulls[name]
        # Whoever is to die asks for nothing more before, however late that comes.
        pull.at_peace.wait(120)
        with self._pulls_lock:
            requests = pull.tries.setdefault(seen.client[1], [])
            requests.append(numbers.start(seen))
            is_due = bool(pull.plan) and pull.plan[0].request == len(requests)
            moment = pull.plan.pop(0) if is_due else None
        if moment:
            process = self._process_behind(seen.client[1])
            pull.at_peace.clear()
            threading.Timer(moment.delay_s, self._kill, [pull, process, moment]).start()
        self.stopping.wait(PAGE_S)
        if name in self.held and numbers.start(seen):
            self.let_go.wait(300)
        return numbers(seen)

    def _process_behind(self, port: int) -> psutil.Process:
        for process in psutil.Process(self._airflow.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if any(near.laddr and near.laddr.port == port for near in process.net_connections("tcp")):
                    return process
        raise LookupError(f"none of the processes has port {port}")

    @staticmethod
    def _kill(pull: Pull, process: psutil.Process, moment: Moment) -> None:
        try:
            process.kill()
            pull.kills += 1
        except psutil.NoSuchProcess:
            pull.missed.append(moment)
        finally:
            pull.at_peace.set()
