#!/usr/bin/env python3
"""The client of the ZeroMQ guide's Lazy Pirate pattern: it asks on a REQ
socket, and when no reply comes in time it throws the socket away and asks
again on a new one."""

import argparse
import os
import re
import sys
import time

import zmq


def duration(text):
    """The seconds of a duration as Go writes it: 2.5s, 100ms, 1m30s."""
    units = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
    part = r"(\d+\.?\d*|\.\d+)(us|ms|s|m|h)"
    if text != "0" and not re.fullmatch(f"({part})+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 2.5s or 100ms")
    return sum(float(number) * units[unit] for number, unit in re.findall(part, text))


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--broker", default="tcp://127.0.0.1:5555", metavar="ENDPOINT", help="what to connect to")
    p.add_argument("--timeout", type=duration, default=2.5, help="wait this long for a reply (2.5s)")
    p.add_argument("--retries", type=int, default=3, help="ask this often in all, then give the request up (3)")
    p.add_argument("--correlate", action="store_true",
                   help="put a number before each request, and take no reply to another one")
    p.add_argument("--count", type=int, default=1, help="make this many requests, one after the other (1)")
    p.add_argument("body", metavar="BODY")
    args = p.parse_args()
    if args.timeout <= 0 or args.retries < 1 or args.count < 1:
        p.error("--timeout, --retries and --count must be more than nothing")
    return args


class Client:
    def __init__(self, args):
        self.args = args
        self.context = zmq.Context()
        self.socket = None  # the next request needs a new one

    def ask(self, body):
        """Returns the frames of the reply, or None when there is none."""
        for attempt in range(1, self.args.retries + 1):
            if self.socket is None:
                self.connect()
            self.socket.send(body)
            reply = self.receive()
            if reply is not None:
                return reply
            print(f"lazypirate: no reply within {self.args.timeout:g}s ({attempt} of {self.args.retries})",
                  file=sys.stderr, flush=True)
            # A REQ socket that waits for a reply cannot send; only a new one can.
            self.socket.close()
            self.socket = None
        return None

    def connect(self):
        self.socket = self.context.socket(zmq.REQ)
        self.socket.linger = 0  # what is given up must not be sent later
        if self.args.correlate:
            self.socket.setsockopt(zmq.REQ_CORRELATE, 1)
        self.socket.connect(self.args.broker)

    def receive(self):
        """Returns the next reply, or None when none comes in time.

        It does not block once the socket is readable: what made it so may be a
        message that the socket throws away, such as the reply to another
        request."""
        deadline = time.monotonic() + self.args.timeout
        while (left := deadline - time.monotonic()) > 0:
            self.socket.poll(left * 1000)
            try:
                return self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                pass
        return None


def main():
    args = arguments()
    client = Client(args)
    ok = 0
    for _ in range(args.count):
        reply = client.ask(os.fsencode(args.body))
        if reply is not None:
            ok += 1
            print(b" ".join(reply).decode(errors="replace"), flush=True)
    lost = args.count - ok
    print(f"ok={ok} lost={lost}")
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
