#!/usr/bin/python3
"""A client for PRV1 over REQ: docs/protocol.md, section 13, whose rules it names.

    reply = Client("tcp://127.0.0.1:5555").request("echo", [b"hello"])

request() returns a Reply or raises RequestError. A Client belongs to one thread.
"""
import argparse
import os
import random
import signal
import sys
import time
from dataclasses import dataclass

import zmq
from zmq.utils.monitor import recv_monitor_message

import prv1
from prv1 import Certainty, Code, Flag, Message


@dataclass
class Reply:
    """The outcome OK."""
    id: bytes
    body: list
    e2e: list  # end-to-end fields: (type, value)
    attempt: int
    tries: int


class RequestError(Exception):
    """Any other outcome: certainty says whether asking again may do the work twice."""

    def __init__(self, code, certainty, text, retryable=True, own_code=""):
        self.code, self.certainty, self.retryable = Code(code), Certainty(certainty), retryable
        self.text, self.own_code = text, own_code  # of the broker or handler; of the handler
        certain = self.certainty.name.lower().replace("_", "-")
        super().__init__(f"{self.code.name} {certain} {text}")


class Client:
    """Asks one broker. Times are in seconds."""

    def __init__(self, endpoint, timeout=2.5, retries=3, deadline=30.0):
        self.endpoint, self.timeout, self.retries = endpoint, timeout, retries
        self.deadline = deadline
        self.instance = os.urandom(8)  # C2
        self.ctx, self.sock, self.monitor = zmq.Context.instance(), None, None
        self.epoch, self.heartbeat, self.limits = 0, 1.0, None  # as last heard from the broker

    def request(self, service, body, at_most_once=False, headers=(), id=None):
        """Asks until there is an outcome or the deadline has passed. id takes up an earlier one."""
        end = time.monotonic() + self.deadline
        self.learn(sum(map(len, body)), len(body), at_most_once, end)
        m = Message(prv1.REQUEST, service=service, body=body, instance=self.instance)
        m.id = id or os.urandom(16)  # C1
        m.epoch = 0 if id else self.epoch  # C5: first_epoch, frozen from here on
        m.flags = Flag.AT_MOST_ONCE if at_most_once else Flag(0)
        m.e2e = [(prv1.HEADER, bytes([len(key.encode())]) + key.encode() + value.encode())
                 for key, value in dict(headers).items()]
        try:
            return self.ask(m, id is not None, end)
        except (KeyboardInterrupt, SystemExit):
            self.cancel(m, end)
            raise

    def ask(self, m, elsewhere, end):
        """The tries of one request."""
        left = not_started = counted = 0  # tries that left; that were answered so; that were slow
        while time.monotonic() < end:
            now, m.number = time.monotonic(), m.number + 1  # C3
            if m.number > 1 or elsewhere:
                m.flags |= Flag.MAYBE_SENT  # C4
            last = counted >= self.retries or now + self.timeout >= end
            # C7, C12: the last try waits for the broker's own verdict on the deadline.
            until = end + self.heartbeat + 0.25 if last else now + self.timeout
            interest = 0 if last or now + 3 * self.timeout >= end else 3 * self.timeout
            m.interest_ms = prv1.duration(interest)
            sent, lost, a = self.exchange(m, until, end)
            left += sent
            if a is None or not self.answers(a, m):
                counted += not lost  # C11: a lost connection is not counted
                time.sleep(random.uniform(0, 0.1))
                continue
            self.epoch, certainty, now = a.epoch or self.epoch, a.flags >> 14, time.monotonic()
            if a.code == Code.OK:
                return Reply(m.id, a.body, a.e2e, a.attempt, m.number)
            not_started += certainty == Certainty.NOT_STARTED
            # C9, C16: these are not about the request, but about this moment.
            moment = a.code in (Code.OVERLOADED, Code.DRAINING, Code.NO_SERVICE) or (
                a.code == Code.EXPIRED and certainty == Certainty.NOT_STARTED and now < end)
            if moment and counted < self.retries and now + a.retry_after_ms / 1000 < end:
                counted += 1
                time.sleep(a.retry_after_ms / 1000 + random.uniform(0, 0.1))
                continue
            if not_started < left or elsewhere:
                certainty = max(certainty, Certainty.MAYBE_STARTED)  # C10: of an earlier try
            raise RequestError(a.code, certainty, a.text(), bool(a.flags & Flag.RETRYABLE),
                               a.text(prv1.ERROR_CODE))
        if left or elsewhere:
            raise RequestError(Code.UNKNOWN, Certainty.MAYBE_STARTED, "no answer by the deadline")
        raise RequestError(Code.UNREACHABLE, Certainty.NOT_STARTED, "no connection to the broker")

    def answers(self, a, m):
        """C9: whether it is an outcome of this request."""
        return (a.command == prv1.REPLY and a.id == m.id and 0 < a.number <= m.number
                and a.instance in (self.instance, bytes(8)))

    def cancel(self, m, end):
        """C13: tells the broker that the request is no longer wanted."""
        for _ in range(3 if m.number else 0):
            self.drop()
            c = Message(prv1.CANCEL, id=m.id, number=m.number, instance=self.instance)
            a = self.exchange(c, time.monotonic() + 0.25, end)[2]
            if a is not None and self.answers(a, m):
                return

    def learn(self, octets, frames, at_most_once, end):
        """PING, where an epoch (C5) or the limits (C14) have to be known first."""
        large = octets > 65536
        while large and not self.limits or at_most_once and not self.epoch:
            until = min(end, time.monotonic() + self.timeout)
            a = self.exchange(Message(prv1.PING, number=1, instance=self.instance), until, until)[2]
            if a is not None and a.command == prv1.PONG:
                self.epoch, self.limits = a.epoch, a.limits
                self.heartbeat = a.intervals[0] / 1000 if a.intervals else 1.0
            elif time.monotonic() >= end:
                raise RequestError(Code.UNREACHABLE, Certainty.NOT_STARTED, "no PONG")
            elif not large:
                break  # an epoch is good to have; UNKNOWN is the price of having none
        if self.limits and (octets > self.limits[0] or frames > self.limits[1]):
            raise RequestError(Code.INVALID, Certainty.NOT_STARTED, "over the limits", False)

    def exchange(self, m, until, end):
        """Sends a message and waits for one: whether it may have left, whether the connection
        was lost, and the answer or None. Without an answer the socket is of no more use (C8)."""
        sock = self.sock or self.open()
        while self.monitor.poll(0):
            self.monitor.recv_multipart()  # what befell the socket earlier
        if not sock.poll(max(0, min(until, end) - time.monotonic()) * 1000, zmq.POLLOUT):
            self.drop()
            return False, False, None
        m.remaining_ms = prv1.duration(end - time.monotonic()) if m.command != prv1.PING else 0
        sock.send_multipart(prv1.encode(prv1.C2B, m))
        lost = False
        while not lost and (rest := until - time.monotonic()) > 0:
            ready = zmq.select([sock, self.monitor], [], [], rest)[0]
            if sock in ready:
                try:
                    return True, False, prv1.decode(prv1.B2C, sock.recv_multipart())
                except prv1.Refused:
                    break
            lost = self.monitor in ready and (
                recv_monitor_message(self.monitor)["event"] == zmq.EVENT_DISCONNECTED)
        self.drop()
        return True, lost, None

    def open(self):
        self.sock = self.ctx.socket(zmq.REQ)
        self.sock.linger = 0
        self.sock.setsockopt(zmq.CONNECT_TIMEOUT, 3000)
        # Only to a connection that stands, so that UNREACHABLE can be told from UNKNOWN.
        self.sock.setsockopt(zmq.IMMEDIATE, 1)
        self.monitor = self.sock.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self.sock.connect(self.endpoint)
        return self.sock

    def drop(self):
        if self.sock:
            self.sock.disable_monitor()
            self.sock.close()
        self.sock = None


def main():
    args = argparse.ArgumentParser(description="Asks a PRV1 broker.")
    args.add_argument("--broker", default="tcp://127.0.0.1:5555")
    for name, default in ("timeout", 2.5), ("retries", 3), ("deadline", 30.0), ("count", 1):
        args.add_argument("--" + name, type=type(default), default=default)
    args.add_argument("--at-most-once", action="store_true")
    args.add_argument("service")
    args.add_argument("body", nargs="*")
    args = args.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # gives up, with a CANCEL
    client, failed = Client(args.broker, args.timeout, args.retries, args.deadline), False
    for _ in range(args.count):
        try:
            r = client.request(args.service, [b.encode() for b in args.body], args.at_most_once)
            sys.stdout.buffer.write(b"".join(r.body) + b"\n")
            print(f"OK id={r.id.hex()} attempt={r.attempt} tries={r.tries}", file=sys.stderr)
        except RequestError as e:
            failed = True
            print(e, file=sys.stderr)
    sys.exit(failed)


if __name__ == "__main__":
    main()
