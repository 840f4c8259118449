#!/usr/bin/python3
"""The smallest worker: docs/protocol.md, section 23, line by line, with the layouts of sections 5,
8 and 9. It echoes. worker.py beside it leaves nothing out."""
import argparse
import os
import random
import struct
import threading
import time

import zmq

REQUEST, REPLY, READY, WELCOME, HEARTBEAT, PROGRESS, ACK, DISCONNECT = 3, 5, 8, 9, 10, 11, 12, 13
OK, FAILED, EXPIRED, GONE, HANDED_BACK = 1, 2, 4, 7, 33
AT_MOST_ONCE, REPLAY_ONLY, FROM_KEPT, LAST = 1 << 0, 1 << 8, 1 << 9, 1 << 12
RUNNING, FINISHED = 2, 3
HEADER = struct.Struct(">4sBBH16sI8sIIIIIB")
ENTRY = struct.Struct(">16sI8sBBHIIQ")
ACKED = struct.Struct(">16sI8sIB3x")


class Work:
    """One request that is held: running, then finished, until its reply is acknowledged."""


class Worker:
    def __init__(self, endpoint, service, handler):
        self.endpoint, self.service, self.handler = endpoint, service.encode(), handler
        self.context, self.socket = zmq.Context(), None
        self.instance, self.link, self.epoch, self.held = os.urandom(8), 0, bytes(8), {}
        self.heartbeat, self.liveness, self.reconnect_max, self.limit = 1.0, 3, 2.0, 1 << 20
        self.backoff, self.readies = 0.1, []

    def run(self):
        self.fresh()
        turned = time.monotonic()
        while True:
            self.socket.poll(10)
            late, turned = time.monotonic() - turned > self.heartbeat, time.monotonic()
            if late:
                self.ready()
            while self.socket.poll(0):
                self.read(self.socket.recv_multipart())
            for w in list(self.held.values()):
                if w.state == RUNNING and w.result is not None:
                    self.finish(w)
            now = time.monotonic()
            if self.up and now >= self.beat_at:
                self.beat()
            patience = self.liveness * self.heartbeat
            if now - self.heard > patience or self.acked < self.sent and now - self.moved > patience:
                time.sleep(random.uniform(0, self.backoff))
                self.backoff = min(2 * self.backoff, self.reconnect_max)
                self.fresh()
                turned = time.monotonic()

    def fresh(self):
        if self.socket:
            self.socket.close()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.routing_id = b"W" + os.urandom(15)
        self.socket.connect(self.endpoint)
        self.ready()

    def ready(self):
        now = time.monotonic()
        self.readies = [t for t in self.readies if now - t < self.heartbeat]
        if len(self.readies) >= 4:
            time.sleep(self.heartbeat)
        self.readies.append(now)
        self.link, self.sent, self.got, self.acked, self.up = self.link + 1, 0, 0, 0, False
        self.heard = self.moved = time.monotonic()
        fields = field(5, struct.pack(">I", 1)) + field(6, self.instance) + field(8, self.service)
        self.send(READY, flags=LAST, epoch=self.epoch, fields=fields, frames=self.entries())

    def beat(self):
        self.beat_at = time.monotonic() + self.heartbeat
        self.send(HEARTBEAT, epoch=self.epoch, fields=field(5, struct.pack(">I", 1)), frames=self.entries())

    def entries(self):
        now, items = time.monotonic(), []
        for w in self.held.values():
            progress = ms(now - w.began) if w.state == RUNNING else 0
            items.append(ENTRY.pack(*w.fence, w.state, 0, w.flags, ms(w.deadline - now), progress, w.digest))
        return [b"".join(items)] if items else []

    def send(self, command, code=0, flags=0, fence=(bytes(16), 0, bytes(8)), epoch=None, fields=b"", frames=()):
        if self.acked == self.sent:
            self.moved = time.monotonic()
        self.sent += 1
        header = HEADER.pack(b"PRV1", command, code, flags, fence[0], fence[1], epoch or fence[2], 0,
                             ms(time.monotonic()), self.link, self.sent, self.got, 0)
        self.socket.send_multipart([header + fields, *frames])

    def read(self, frames):
        h = frames[0]
        if len(h) < HEADER.size or h[:4] != b"PRV1" or not 0 < h[4] < 14:
            return
        _, command, code, flags, id, attempt, epoch, remaining, _, link, seq, ack, n = HEADER.unpack_from(h)
        if command == DISCONNECT:
            if link in (self.link, 0):
                self.ended(code)
            return
        if link != self.link or not self.up and command != WELCOME:
            return
        if ack > self.acked:
            self.acked, self.moved = min(ack, self.sent), time.monotonic()
        if seq <= self.got:
            return
        if seq > self.got + 1:
            self.ready()
            return
        self.got, self.heard = seq, time.monotonic()
        fields = split(h[HEADER.size + n:])
        if command == WELCOME:
            beat, self.liveness, reconnect, _ = struct.unpack(">IIII", fields[9])
            self.heartbeat, self.reconnect_max = beat / 1000, reconnect / 1000
            self.limit, self.epoch = struct.unpack(">QI", fields[10])[0], epoch
            self.up, self.backoff = True, 0.1
            self.beat()
            self.first_beat = self.sent
            for w in self.held.values():
                if w.state == FINISHED:
                    self.reply(w)
        elif epoch != self.epoch:
            return
        elif command == REQUEST:
            digest = struct.unpack(">Q", fields.get(2, bytes(8)))[0]
            self.take((id, attempt, epoch), flags, remaining / 1000, digest, ack, frames[1:])
        elif command in (ACK, HEARTBEAT) and len(frames) > 1:
            for id, attempt, epoch, _, _ in ACKED.iter_unpack(frames[1]):
                w = self.held.get(id)
                if w and w.state == FINISHED and w.fence == (id, attempt, epoch):
                    del self.held[id]

    def ended(self, code):
        if code not in (1, 6):
            time.sleep(random.uniform(0.5, 1) * self.reconnect_max)
            self.fresh()
        else:
            self.ready()

    def take(self, fence, flags, remaining, digest, ack, body):
        w = self.held.get(fence[0])
        if w and w.fence[2] == fence[2] and fence[1] < w.fence[1]:
            return
        if w:
            w.fence, w.deadline, w.digest = fence, time.monotonic() + remaining, digest
            if w.state == FINISHED:
                w.reply_flags = FROM_KEPT
                self.reply(w)
        elif flags & REPLAY_ONLY:
            self.send(REPLY, GONE, fence=fence)
        elif remaining == 0:
            self.send(REPLY, EXPIRED, fence=fence)
        elif ack < self.first_beat:
            self.send(REPLY, HANDED_BACK, fence=fence)
        else:
            w = self.held[fence[0]] = Work()
            w.fence, w.flags, w.digest, w.state, w.result = fence, flags & AT_MOST_ONCE, digest, RUNNING, None
            w.began, w.deadline = time.monotonic(), time.monotonic() + remaining
            self.send(PROGRESS, fence=fence)
            threading.Thread(target=self.work, args=(w, body), daemon=True).start()

    def work(self, w, body):
        """In a thread of its own; the loop finds the result."""
        try:
            w.result = OK, self.handler(body), ""
        except Exception as e:
            w.result = FAILED, [], str(e)

    def finish(self, w):
        code, body, text = w.result
        if sum(map(len, body)) > self.limit:
            code, body, text = FAILED, [], "the reply is over the broker's limit"
        w.state, w.code, w.body, w.reply_flags = FINISHED, code, body, 0
        w.text = field(130, text.encode()[:4096]) if text else b""
        if self.up:
            self.reply(w)

    def reply(self, w):
        self.send(REPLY, w.code, w.reply_flags, w.fence, fields=w.text, frames=w.body)


def ms(seconds):
    return max(0, int(seconds * 1000)) & 0xffffffff


def field(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


def split(fields):
    """The hop-by-hop fields, by type."""
    found = {}
    while len(fields) >= 3:
        kind, size = struct.unpack_from(">BH", fields)
        found[kind], fields = fields[3:3 + size], fields[3 + size:]
    return found


if __name__ == "__main__":
    args = argparse.ArgumentParser(description="The smallest PRV1 worker: it echoes.")
    args.add_argument("--broker", default="tcp://127.0.0.1:5556")
    args.add_argument("--service", default="echo")
    args.add_argument("--delay", type=float, default=0.0, help="seconds before each reply")
    args = args.parse_args()

    def echo(body):
        time.sleep(args.delay)
        return body

    Worker(args.broker, args.service, echo).run()
