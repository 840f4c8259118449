#!/usr/bin/env python3
"""A worker of the Paranoid Pirate Protocol (RFC 6) that sends every request's
body back."""

import argparse
import os
import re
import signal
import sys
import threading
import time

import zmq

READY, HEARTBEAT = b"\x01", b"\x02"

LIVENESS = 3  # so many intervals without a word, and the broker is gone
PAUSE_MIN = 0.1  # seconds before the worker connects again; doubles each time
PAUSE_MAX = 10


def duration(text):
    """The seconds of a duration as Go writes it: 2.5s, 100ms, 1m30s."""
    units = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
    part = r"(\d+\.?\d*|\.\d+)(us|ms|s|m|h)"
    if text != "0" and not re.fullmatch(f"({part})+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 2.5s or 100ms")
    return sum(float(number) * units[unit] for number, unit in re.findall(part, text))


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--broker", default="tcp://127.0.0.1:5556", metavar="ENDPOINT", help="what to connect to")
    p.add_argument("--heartbeat", type=duration, default=1, help="time between two, the same as the broker's (1s)")
    p.add_argument("--delay", type=duration, default=0, help="the work on a request takes this long (0s)")
    p.add_argument("--name", default="", help="the socket's routing id; without one, the broker makes one up")
    p.add_argument("--single", action="store_true", help="do the work between the heartbeats: none is sent meanwhile")
    args = p.parse_args()
    if args.heartbeat <= 0:
        p.error("--heartbeat must be more than nothing")
    return args


class Worker:
    def __init__(self, args):
        self.args = args
        self.context = zmq.Context()
        self.stopped = False
        self.jobs = self.start_jobs()
        self.number = 0  # of the conversation

    def run(self):
        pause = PAUSE_MIN
        while not self.stopped:
            pause = PAUSE_MIN if self.converse() else pause
            if not self.stopped:
                print(f"ppworker: the broker is silent; connecting again after {pause:g}s", file=sys.stderr, flush=True)
                end = time.monotonic() + pause
                while not self.stopped and time.monotonic() < end:
                    time.sleep(0.1)
                pause = min(2 * pause, PAUSE_MAX)

    def stop(self, *_):
        self.stopped = True

    def converse(self):
        """Holds one conversation, on a socket of its own: from READY until the
        broker is silent or the worker is stopped. Returns whether the broker
        said anything."""
        self.number += 1
        self.connect()
        self.send([READY])
        heard, silence = False, LIVENESS * self.args.heartbeat
        gone_at = time.monotonic() + silence
        poller = zmq.Poller()
        poller.register(self.broker, zmq.POLLIN)
        poller.register(self.jobs, zmq.POLLIN)
        while not self.stopped and time.monotonic() < gone_at:
            # Not for longer than 0.1 s, so that a signal does not wait for a heartbeat.
            wait = min(self.beat_at - time.monotonic(), 0.1)
            for socket, _ in poller.poll(max(wait, 0) * 1000):
                if socket is self.jobs:
                    self.reply()
                    continue
                self.take(self.broker.recv_multipart())
                heard, gone_at = True, time.monotonic() + silence
            if time.monotonic() >= self.beat_at:
                self.send([HEARTBEAT])
        self.broker.close()
        return heard

    def connect(self):
        self.broker = self.context.socket(zmq.DEALER)
        self.broker.linger = 0
        if self.args.name:
            self.broker.setsockopt(zmq.IDENTITY, os.fsencode(self.args.name))
        self.broker.connect(self.args.broker)

    def send(self, frames):
        self.broker.send_multipart(frames)
        self.beat_at = time.monotonic() + self.args.heartbeat  # whatever is sent shows that the worker lives

    def take(self, frames):
        if len(frames) == 1:  # HEARTBEAT; a request has more
            return
        if self.args.single:
            self.send(self.work(frames))
        else:
            self.jobs.send_multipart([b"%d" % self.number, *frames])

    def reply(self):
        number, *frames = self.jobs.recv_multipart()
        # The reply to a request of an earlier conversation has no place in this one.
        if int(number) == self.number:
            self.send(frames)

    def work(self, request):
        """Makes the reply to a request. Both begin with the addresses of those
        who wait for it, ended by an empty frame; an echo repeats them with the
        body."""
        time.sleep(self.args.delay)
        return request

    def start_jobs(self):
        """Starts the thread that works, one request after the other, and returns
        the socket to it: [number][request ...] goes in, [number][reply ...]
        comes out."""
        ours, theirs = self.context.socket(zmq.PAIR), self.context.socket(zmq.PAIR)
        ours.bind("inproc://jobs")
        theirs.connect("inproc://jobs")

        def loop():
            while True:
                number, *request = theirs.recv_multipart()
                theirs.send_multipart([number, *self.work(request)])

        threading.Thread(target=loop, daemon=True).start()
        return ours


if __name__ == "__main__":
    worker = Worker(arguments())
    signal.signal(signal.SIGINT, worker.stop)
    signal.signal(signal.SIGTERM, worker.stop)
    worker.run()
