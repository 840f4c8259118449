#!/usr/bin/env python3
"""A worker of the Majordomo Protocol, version 0.1 (RFC 7) or 0.2 (RFC 18), that
sends every request's body back."""

import argparse
import logging as log
import os
import re
import signal
import threading
import time

import zmq

READY, REQUEST = b"\x01", b"\x02"  # in both versions
VERSIONS = {  # the frames before each command, and the other commands
    "0.1": dict(header=[b"", b"MDPW01"], partial=None, final=b"\x03", heartbeat=b"\x04", disconnect=b"\x05"),
    "0.2": dict(header=[b"MDPW02"], partial=b"\x03", final=b"\x04", heartbeat=b"\x05", disconnect=b"\x06"),
}
LIVENESS = 3  # so many intervals without a word, and the broker is gone
PAUSE_MIN, PAUSE_MAX = 0.1, 10  # seconds before the worker connects again; doubles each time


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
    p.add_argument("--version", default="0.1", choices=VERSIONS, help="of the protocol (0.1)")
    p.add_argument("--service", default="echo", help="the service's name (echo)")
    p.add_argument("--heartbeat", type=duration, default=2.5, help="time between two, the same as the broker's (2.5s)")
    p.add_argument("--delay", type=duration, default=0, help="the work on a request takes this long (0s)")
    p.add_argument("--parts", type=int, default=0, help="so many partial replies, evenly over the delay (0.2)")
    p.add_argument("--single", action="store_true", help="do the work between the heartbeats: none is sent meanwhile")
    args = p.parse_args()
    if args.heartbeat <= 0 or args.parts < 0 or args.parts > 0 and args.version == "0.1":
        p.error("--heartbeat must be more than nothing, and --parts is of 0.2")
    return args


class Worker:
    def __init__(self, args):
        self.args, self.mdp = args, VERSIONS[args.version]
        self.network, self.stopped = zmq.Context(), False
        self.jobs = self.start_jobs()
        self.number = 0  # of the conversation
        self.silence = LIVENESS * args.heartbeat

    def run(self):
        pause = PAUSE_MIN
        while not self.stopped:
            pause = PAUSE_MIN if self.converse() else pause
            end = time.monotonic() + pause
            while not self.stopped and time.monotonic() < end:
                time.sleep(0.1)
            if not self.stopped:
                log.info("conversation over; connecting again after %gs", pause)
            pause = min(2 * pause, PAUSE_MAX)
        self.network.term()  # waits until DISCONNECT is sent

    def stop(self, *_):
        self.stopped = True

    def converse(self):
        """Holds one conversation, on a socket of its own, until the broker ends it or
        is silent, or the worker is stopped. Returns whether the broker spoke."""
        self.number += 1
        self.broker = self.network.socket(zmq.DEALER)
        self.broker.linger = 0
        self.broker.connect(self.args.broker)
        self.send(READY, [os.fsencode(self.args.service)])
        self.heard, self.gone_at = False, time.monotonic() + self.silence
        poller = zmq.Poller()
        for socket in self.broker, self.jobs:
            poller.register(socket, zmq.POLLIN)
        while not self.stopped and time.monotonic() < self.gone_at:
            # Not for longer than 0.1 s, so that a signal does not wait for a heartbeat.
            for socket, _ in poller.poll(max(0, min(self.beat_at - time.monotonic(), 0.1)) * 1000):
                frames = socket.recv_multipart()
                if socket is self.jobs:
                    if int(frames[0]) == self.number:  # a request of this conversation
                        self.send(frames[1], frames[2:])
                elif self.take(frames):
                    self.broker.close()
                    return self.heard
            if time.monotonic() >= self.beat_at:
                self.send(self.mdp["heartbeat"])
        if self.stopped:
            self.send(self.mdp["disconnect"])
            self.broker.linger = 1000
        self.broker.close()
        return self.heard

    def send(self, command, frames=()):
        self.broker.send_multipart([*self.mdp["header"], command, *frames])
        self.beat_at = time.monotonic() + self.args.heartbeat  # whatever is sent shows that the worker lives

    def take(self, frames):
        """Takes a message of the broker. Returns whether it ends the conversation."""
        n = min(len(self.mdp["header"]), len(frames) - 1)
        command, rest = frames[n], frames[n + 1:]
        if frames[:n] != self.mdp["header"]:
            log.info("not a message of MDP %s to a worker: %s", self.args.version, frames)
            return False
        if command == self.mdp["disconnect"]:
            log.info("the broker disconnects this worker")
            return True
        if command == REQUEST and self.args.single:
            self.work(rest, self.send)
        elif command == REQUEST:
            self.jobs.send_multipart([b"%d" % self.number, *rest])
        self.heard, self.gone_at = True, time.monotonic() + self.silence
        return False

    def work(self, request, send):
        """Makes the replies to a request: the client's address, an empty frame, the body."""
        for command in [self.mdp["partial"]] * self.args.parts + [self.mdp["final"]]:
            time.sleep(self.args.delay / (self.args.parts + 1))
            send(command, request)

    def start_jobs(self):
        """Starts the thread that works, and returns the socket to it:
        [number][request ...] goes in, [number][command][reply ...] comes out."""
        inside = zmq.Context.instance()
        ours, theirs = inside.socket(zmq.PAIR), inside.socket(zmq.PAIR)
        ours.bind("inproc://jobs")
        theirs.connect("inproc://jobs")

        def loop():
            while True:
                number, *request = theirs.recv_multipart()
                self.work(request, lambda command, frames: theirs.send_multipart([number, command, *frames]))

        threading.Thread(target=loop, daemon=True).start()
        return ours


if __name__ == "__main__":
    log.basicConfig(level=log.INFO, format="mdworker: %(message)s")
    worker = Worker(arguments())
    signal.signal(signal.SIGINT, worker.stop)
    signal.signal(signal.SIGTERM, worker.stop)
    worker.run()
