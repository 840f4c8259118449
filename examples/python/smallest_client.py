#!/usr/bin/python3
"""The smallest client: docs/protocol.md, section 23, line by line, with the layouts of sections 5
and 8. client.py beside it leaves nothing out."""
import argparse
import os
import random
import struct
import sys
import time

import zmq

REQUEST, REPLY = 3, 5
OK, EXPIRED, NO_SERVICE, OVERLOADED, DRAINING, UNKNOWN, UNREACHABLE = 1, 4, 8, 9, 10, 13, 14
MAYBE_SENT, NOT_STARTED, MAYBE_STARTED = 1 << 1, 1, 2
# The certainties that each outcome may have (section 3).
CERTAINTIES = {1: (3,), 2: (3,), 3: (2, 3), 6: (2,), 7: (3,), 13: (2,), **{code: (1, 2) for code in (4, 5, 8, 9, 10, 11, 12)}}
HEADER = struct.Struct(">4sBBH16sI8sII8sIB")


class Failed(Exception):
    """Any outcome but OK: its code, and whether the work may have run."""

    def __init__(self, code, certainty):
        super().__init__(f"code {code}, certainty {certainty}")
        self.code, self.certainty = code, certainty


class Client:
    def __init__(self, endpoint, timeout=2.5, retries=3, deadline=30.0):
        self.endpoint, self.timeout, self.retries, self.deadline = endpoint, timeout, retries, deadline
        self.context, self.instance, self.epoch = zmq.Context(), os.urandom(8), bytes(8)

    def request(self, service, body):
        id, first_epoch, end = os.urandom(16), self.epoch, time.monotonic() + self.deadline
        number = left = not_started = 0
        while True:
            number += 1
            now = time.monotonic()
            last = number > self.retries or now + self.timeout >= end
            until = end + 1.25 if last else now + self.timeout
            interest = 0 if last or now + 3 * self.timeout >= end else 3 * self.timeout
            header = HEADER.pack(b"PRV1", REQUEST, 0, MAYBE_SENT if number > 1 else 0, id, number, first_epoch,
                                 ms(end - now), ms(now), self.instance, ms(interest), len(service)) + service
            sent, answer = self.exchange([header, *body], id, number, until, end)
            left += sent
            if answer:
                code, certainty, retry_after, frames = answer
                if code == OK:
                    return frames
                not_started += certainty == NOT_STARTED
                again = code in (OVERLOADED, DRAINING, NO_SERVICE) or code == EXPIRED and certainty == NOT_STARTED
                if not again or last or time.monotonic() + retry_after >= end:
                    raise Failed(code, certainty if not_started == left else max(certainty, MAYBE_STARTED))
                time.sleep(retry_after)
            elif last:
                raise Failed(UNKNOWN, MAYBE_STARTED) if left else Failed(UNREACHABLE, NOT_STARTED)
            time.sleep(random.uniform(0, 0.1))

    def exchange(self, frames, id, number, until, end):
        """One try, on a socket of its own: whether it left, and its answer or None."""
        with self.context.socket(zmq.REQ) as socket:
            socket.linger, socket.immediate = 0, 1
            socket.connect(self.endpoint)
            if not socket.poll(max(0, min(until, end) - time.monotonic()) * 1000, zmq.POLLOUT):
                return False, None
            socket.send_multipart(frames)
            if not socket.poll(max(0, until - time.monotonic()) * 1000):
                return True, None
            return True, self.answer(socket.recv_multipart(), id, number)

    def answer(self, frames, id, number):
        h = frames[0]
        if len(h) < HEADER.size or h[:5] != b"PRV1\x05":
            return None
        _, _, code, flags, of, to, epoch, _, _, instance, _, n = HEADER.unpack_from(h)
        certainty, partial = flags >> 14, flags & 1 << 6
        if of != id or instance not in (self.instance, bytes(8)) or not 0 < to <= number or partial:
            return None
        if certainty not in CERTAINTIES.get(code, ()):
            return None
        self.epoch, retry_after, rest = epoch, 0, h[HEADER.size + n:]
        while len(rest) >= 3:
            kind, size = struct.unpack_from(">BH", rest)
            if kind == 4:
                retry_after = struct.unpack(">I", rest[3:7])[0] / 1000
            rest = rest[3 + size:]
        return code, certainty, retry_after, frames[1:]


def ms(seconds):
    return max(0, int(seconds * 1000)) & 0xffffffff


if __name__ == "__main__":
    args = argparse.ArgumentParser(description="The smallest PRV1 client.")
    args.add_argument("--broker", default="tcp://127.0.0.1:5555")
    args.add_argument("--timeout", type=float, default=2.5)
    args.add_argument("--count", type=int, default=1)
    args.add_argument("service")
    args.add_argument("body")
    args = args.parse_args()
    client, failed = Client(args.broker, args.timeout), False
    for _ in range(args.count):
        try:
            print(b" ".join(client.request(args.service.encode(), [args.body.encode()])).decode())
        except Failed as e:
            failed = True
            print(e, file=sys.stderr)
    sys.exit(failed)
