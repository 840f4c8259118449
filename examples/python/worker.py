#!/usr/bin/python3
"""A worker for PRV1: docs/protocol.md, section 14, whose rules it names.

    Worker("tcp://127.0.0.1:5556", ["echo"], lambda work, body: body, credit=4).run()

The handler runs in a thread. It gets the Work (held.py) and the frames of the body, and returns
frames or bytes; it may raise Failed or Retry, should look at work.cancelled, and may call
work.progress(). Here is the loop; the link and its count are in link.py, the table of requests
is in held.py, the messages are in prv1.py.
"""
import argparse
import os
import signal
import socket
import sys
import threading
import time

import zmq

import prv1
from held import Failed, Retry, Table  # noqa: F401: Failed and Retry are for handlers
from link import RESTING, SHUT, UP, Link
from prv1 import Code, Flag, Reason, State


class Worker:
    """Serves requests until stop()."""

    def __init__(self, endpoint, services, handler, credit=1, drain_timeout=10.0):
        self.services, self.drain_timeout = list(services), drain_timeout
        self.draining, self.drain_end, self.leave_end = False, None, None
        self.ctx, self.poller, self.lock = zmq.Context(), zmq.Poller(), threading.Lock()
        self.waker, self.woken = self.ctx.socket(zmq.PAIR), self.ctx.socket(zmq.PAIR)
        self.woken.bind("inproc://wake")
        self.waker.connect("inproc://wake")
        self.poller.register(self.woken, zmq.POLLIN)
        self.link = Link(self.ctx, self.poller, endpoint)
        self.table = Table(handler, credit, self.wake)
        self.beat_at = 0.0
        self.who = {"services": self.services, "host": socket.gethostname(), "process": os.getpid()}

    def stop(self):
        """Makes run() drain and return; from any thread or signal handler."""
        self.draining = True

    def wake(self):
        """For the handlers' threads: the loop's own socket is not theirs to touch."""
        with self.lock:
            try:
                self.waker.send(b"", zmq.NOBLOCK)
            except zmq.Again:
                pass  # it has been woken often enough

    def run(self):
        """The loop (W1)."""
        link, table = self.link, self.table
        turned, wait, done = time.monotonic(), 0.0, False
        while not done:
            self.poller.poll(wait * 1000)
            now = link.now = time.monotonic()
            if now - turned > wait + link.heartbeat:
                link.paused()
                self.beat_at = now
            turned = now
            self.read()
            for work in table.happened():
                self.progress(work)
            link.judge()
            if link.state == RESTING and now >= link.ready_at:
                self.ready()
            if link.state == UP and now >= self.beat_at:
                self.beat()
            done = self.draining and self.drain()
            prompt = time.monotonic() - now < link.heartbeat  # W15, once more
            for work in table.start(now, link.may_start() and prompt, self.draining):
                self.progress(work)
            self.offer()
            wait = min(0.25, max(0.0, self.beat_at - now)) if link.state == UP else 0.05
        link.close()
        table.pool.shutdown(wait=False)

    def read(self):
        """Reads and acts on all that has come."""
        while self.woken.poll(0):
            self.woken.recv()
        if self.link.connected():
            self.beat_at = self.link.now  # W1: at once after a reconnect
        for m, delay in self.link.read():
            if m.command == prv1.WELCOME:  # W4; offer() sends what was not acknowledged again
                for work in self.table.finished():
                    work.sent = False
                self.beat()
            elif m.command == prv1.REQUEST:
                self.table.request(m, self.link.now + max(0, m.remaining_ms - delay) / 1000)
            elif m.command == prv1.CANCEL:
                self.table.cancel(m, self.link.now)
            for item in m.acks:
                self.table.ack(item, self.link.now, self.link.heartbeat, self.link.retention)

    def told(self):
        """What READY and HEARTBEAT say alike."""
        link = self.link
        return {"epoch": link.epoch, "flags": Flag.DRAINING if self.draining else Flag(0),
                "credit": 0 if self.draining else self.table.credit(link.now, link.heartbeat)}

    def ready(self):
        """W3: a new link, with all that is held or remembered, in parts of 4,096."""
        self.link.renew()
        entries, told = self.table.listing(self.link.now, everything=True), self.told()
        parts = [entries[i:i + 4096] for i in range(0, len(entries), 4096)] or [()]
        for n, part in enumerate(parts):
            flags = told["flags"] | (Flag.LAST if n + 1 == len(parts) else 0)
            first = self.who if n == 0 else {}
            self.link.send(prv1.READY, **{**told, "flags": flags}, part=n, entries=part,
                           instance=self.link.instance, **first)

    def beat(self):
        """W7. The first HEARTBEAT after READY or a pause opens the gate, once acknowledged."""
        entries = self.table.listing(self.link.now)
        if len(entries) > 4096:
            return self.ready()
        left = self.link.send(prv1.HEARTBEAT, entries=entries, **self.told())
        if left and self.link.gate == SHUT:
            self.link.gate = self.link.sent
        self.beat_at = self.link.now + self.link.heartbeat
        self.table.tidy(self.link.now)

    def progress(self, work):
        """W11. If it does not leave, progress_ms in the next HEARTBEAT says the same."""
        if self.link.state == UP:
            self.link.send(prv1.PROGRESS, id=work.id, number=work.attempt, epoch=work.epoch)

    def offer(self):
        """W12: sends each reply once on each link, until it is acknowledged."""
        octets, frames = self.link.limits
        for work in self.table.finished() if self.link.state == UP else ():
            if work.sent:
                continue
            if sum(map(len, work.body)) > octets or len(work.body) > frames:
                work.code, work.body = Code.FAILED, ()
                work.e2e = [(prv1.ERROR_TEXT, b"the reply is over the broker's limits")]
            work.sent = self.link.send(
                prv1.REPLY, code=work.code, flags=work.reply_flags, id=work.id, number=work.attempt,
                epoch=work.epoch, body=work.body, e2e=work.e2e)

    def drain(self):
        """W16; whether all is done."""
        link, table, now = self.link, self.table, self.link.now
        patience = link.liveness * link.heartbeat
        if self.drain_end is None:  # first of all, DRAINING and credit 0; start() hands back
            self.drain_end, self.beat_at = now + self.drain_timeout, now
            return False
        for work in list(table.held.values()) if now > self.drain_end else ():
            if work.state == State.RUNNING:
                work.cancel(now)
                work.finish(Code.HANDED_BACK, Flag.STARTED)
        if self.leave_end is None:
            if (table.held or table.side) and now < self.drain_end + patience:
                return False  # runs, or acks, are to come
            self.leave_end, link.over, self.leave_at = now + patience, None, now
        if link.state != UP or link.over or now > self.leave_end:
            return True
        if now >= self.leave_at:
            self.leave_at = now + link.heartbeat
            link.send(prv1.DISCONNECT, code=Reason.SHUTTING_DOWN, epoch=link.epoch,
                      entries=table.listing(now)[:4096])
        return False


def main():
    args = argparse.ArgumentParser(description="A PRV1 worker that echoes.")
    args.add_argument("--broker", default="tcp://127.0.0.1:5556")
    args.add_argument("--service", action="append", help="may be given more than once")
    args.add_argument("--credit", type=int, default=1)
    args.add_argument("--delay", type=float, default=0.0, help="seconds before each reply")
    args.add_argument("--echo", action="store_true", help="the default, and all that there is")
    args = args.parse_args()

    def echo(work, body):
        print(f"run {work.id.hex()} attempt={work.attempt}", file=sys.stderr, flush=True)
        if work.cancelled.wait(args.delay):
            print(f"cancelled {work.id.hex()}", file=sys.stderr, flush=True)
            raise Failed("cancelled")
        return body

    worker = Worker(args.broker, args.service or [], echo, args.credit)
    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, lambda *_: worker.stop())
    worker.run()
    os._exit(0)  # not waiting for a handler that has ignored its cancelled context


if __name__ == "__main__":
    main()
