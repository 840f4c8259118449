#!/usr/bin/env python3
"""A client of the Majordomo Protocol, version 0.1 (RFC 7) or 0.2 (RFC 18). When
the broker is silent it asks again, on a new socket."""

import argparse
import os
import re
import sys
import time

import zmq

# The second frame of 0.2; 0.1 has none.
REQUEST, PARTIAL, FINAL = b"\x01", b"\x02", b"\x03"


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
    p.add_argument("--version", default="0.1", choices=["0.1", "0.2"], help="of the protocol (0.1)")
    p.add_argument("--dealer", action="store_true", help="use a DEALER socket in 0.1 too, not REQ")
    p.add_argument("--timeout", type=duration, default=2.5, help="wait this long for a reply, partial or final (2.5s)")
    p.add_argument("--retries", type=int, default=3, help="ask this often in all, then give the request up (3)")
    p.add_argument("--count", type=int, default=1, help="make this many requests, one after the other (1)")
    p.add_argument("service", metavar="SERVICE")
    p.add_argument("body", metavar="BODY")
    args = p.parse_args()
    if args.timeout <= 0 or args.retries < 1 or args.count < 1:
        p.error("--timeout, --retries and --count must be more than nothing")
    return args


class Client:
    def __init__(self, args):
        self.args = args
        self.service = os.fsencode(args.service)
        self.context = zmq.Context()
        self.socket = None  # the next request needs a new one

    def ask(self, body):
        """Makes a request and prints what comes back. Returns whether all did."""
        for attempt in range(1, self.args.retries + 1):
            if self.socket is None:
                self.connect()
            self.socket.send_multipart([*self.header(REQUEST), body])
            trouble = self.wait()
            if not trouble:
                return True
            print(f"mdclient: {trouble} ({attempt} of {self.args.retries})", file=sys.stderr, flush=True)
            self.socket.close()
            self.socket = None
        return False

    def header(self, command):
        """What all messages, in and out, begin with. A REQ socket adds the empty
        frame of 0.1 itself, and takes it away again."""
        if self.args.version == "0.2":
            return [b"MDPC02", command, self.service]
        if self.args.dealer:
            return [b"", b"MDPC01", self.service]
        return [b"MDPC01", self.service]

    def connect(self):
        dealer = self.args.dealer or self.args.version == "0.2"
        self.socket = self.context.socket(zmq.DEALER if dealer else zmq.REQ)
        self.socket.linger = 0  # what is given up must not be sent later
        self.socket.connect(self.args.broker)

    def wait(self):
        """Prints the replies to a request up to the last. Returns what went wrong."""
        while frames := self.receive():
            n = min(len(self.header(FINAL)), len(frames) - 1)  # a body has one frame at least
            header, text = frames[:n], b" ".join(frames[n:]).decode(errors="replace")
            if header == self.header(FINAL):
                print(text, flush=True)
                return None
            if header != self.header(PARTIAL):
                return f"not a reply of MDP {self.args.version} from {self.args.service}: {frames}"
            print("partial", text, flush=True)
        return f"no reply within {self.args.timeout:g}s"

    def receive(self):
        """Returns the next message, or None when none comes in time. It does not
        block once the socket is readable: a REQ socket may throw away what made
        it so."""
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
    lost = 0
    for _ in range(args.count):
        if not client.ask(os.fsencode(args.body)):
            lost += 1
    print(f"ok={args.count - lost} lost={lost}")
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
