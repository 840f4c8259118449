"""A worker's side of a link: docs/protocol.md, sections 11 and 12, and rules W2, W5, W6, W15.

It owns the socket, counts and acknowledges, finds gaps and silence, and says when a new READY
is due. What the messages mean is not its matter (worker.py).
"""
import os
import random
import sys
import time

import zmq

import prv1
from prv1 import Reason

RESTING, WAITING, UP = range(3)  # READY is due at ready_at; READY is sent; WELCOME has come
SHUT = 2**32  # a gate that no ack opens


class Link:
    """One after the other: a new number for each READY."""

    def __init__(self, ctx, poller, endpoint):
        self.ctx, self.poller, self.endpoint, self.sock = ctx, poller, endpoint, None
        self.instance, self.number = os.urandom(8), 0  # W2: for the life of the process
        self.epoch, self.limits = 0, (1 << 20, 1024)
        self.heartbeat, self.liveness, self.reconnect_max, self.retention = 1.0, 3, 2.0, 30.0
        self.now = time.monotonic()
        self.backoff, self.readies, self.over = 0.1, [], None
        self.heard = self.acked_at = self.now
        self.rest(0)

    # The socket.

    def open(self):
        self.sock = self.ctx.socket(zmq.DEALER)
        self.sock.linger = 0
        # A name of its own for each socket. ZeroMQ keeps those that begin with a 0 for itself.
        self.sock.routing_id = b"W" + os.urandom(15)
        self.sock.setsockopt(zmq.CONNECT_TIMEOUT, 3000)
        self.monitor = self.sock.get_monitor_socket(zmq.EVENT_CONNECTED)
        self.sock.connect(self.endpoint)
        self.poller.register(self.sock, zmq.POLLIN)
        self.poller.register(self.monitor, zmq.POLLIN)

    def close(self):
        if self.sock:
            self.poller.unregister(self.sock)
            self.poller.unregister(self.monitor)
            self.sock.disable_monitor()
            self.sock.close()
        self.sock = None

    def connected(self):
        """Whether it has connected (again) since the last look."""
        seen = False
        while self.sock and self.monitor.poll(0):
            seen = bool(self.monitor.recv_multipart())
        return seen

    # Counting.

    def send(self, command, **fields):
        """Sends a message; False if it did not leave, and then it used no number (12.2)."""
        m = prv1.Message(command, link=self.number, ack=self.received, sent_ms=clock_ms(), **fields)
        m.seq = 0 if command == prv1.DISCONNECT else self.sent + 1  # outside the count (12.6)
        try:
            self.sock.send_multipart(prv1.encode(prv1.W2B, m), zmq.NOBLOCK)
        except zmq.Again:
            return False
        if m.seq:
            self.acked_at = self.now if self.acked == self.sent else self.acked_at
            self.sent = m.seq
        return True

    def read(self):
        """Yields (message, delay in ms) for each message that is to be acted on."""
        while self.sock and self.sock.poll(0):
            try:
                m = prv1.decode(prv1.B2W, self.sock.recv_multipart())
            except prv1.Refused as e:
                print("dropped:", e, file=sys.stderr)  # it leaves a gap, and so a new link (12.4)
                continue
            if m.link == self.number or m.command == prv1.DISCONNECT and m.link == 0:
                if self.counts(m):
                    yield m, self.delay(m)

    def counts(self, m):
        """Counts a message of the present link; whether it is to be acted on."""
        if m.ack > self.acked:
            self.acked, self.acked_at = min(m.ack, self.sent), self.now
        if m.command == prv1.DISCONNECT:
            self.ended(m)
            return False
        if self.state == RESTING or self.state == WAITING and m.command != prv1.WELCOME:
            return False  # 12.7
        if m.seq <= self.received:
            return False  # a repetition
        if m.seq > self.received + 1:
            self.again()  # a gap: the link cannot be mended
            return False
        self.received, self.heard = m.seq, self.now
        if m.command == prv1.WELCOME:
            self.state, self.epoch, self.limits, self.backoff = UP, m.epoch, m.limits, 0.1
            beat, self.liveness, reconnect, retention = m.intervals
            self.heartbeat, self.reconnect_max = beat / 1000, reconnect / 1000
            self.retention = retention / 1000
        # 12.7: of another epoch it counts, and is discarded; but CANCEL is judged by its fence.
        return m.epoch == self.epoch or m.command == prv1.CANCEL

    def delay(self, m):
        """12.11: how much longer it took than the quickest message of this link."""
        lag = clock_ms() - m.sent_ms & prv1.NEVER
        if self.quickest is None or lag - self.quickest & prv1.NEVER >= 1 << 31:
            self.quickest = lag
        return lag - self.quickest & prv1.NEVER

    # New links.

    def renew(self):
        """The number for the READY that follows."""
        if not self.sock:
            self.open()
        self.number, self.state, self.quickest, self.gate = self.number + 1, WAITING, None, SHUT
        self.sent = self.received = self.acked = 0
        self.heard = self.acked_at = self.now
        self.readies.append(self.now)

    def rest(self, wait):
        """No link for so long; nothing of it is acted on."""
        self.state, self.ready_at, self.gate = RESTING, self.now + wait, SHUT
        self.sent = self.received = self.acked = 0

    def again(self):
        """W5: READY on the same socket at once, but not more than three times in a heartbeat."""
        self.readies = [t for t in self.readies if t > self.now - self.heartbeat]
        self.rest(self.heartbeat if len(self.readies) >= 3 else 0)

    def ended(self, m):
        """DISCONNECT."""
        print("link", self.number, "ended:", m.text() or Reason(m.code).name, file=sys.stderr)
        self.over = m.code
        if m.code in (Reason.UNKNOWN, Reason.RESET):
            self.again()
        else:
            self.rest(self.reconnect_max * random.uniform(0.5, 1))

    def judge(self):
        """W6: after silence a fresh socket, and a wait whose bound doubles. Runs go on."""
        patience = self.liveness * self.heartbeat
        unheard = self.now - self.heard > patience
        unacked = self.acked < self.sent and self.now - self.acked_at > patience
        if self.state != RESTING and (unheard or unacked):
            print("link", self.number, "is silent", file=sys.stderr)
            self.close()
            self.rest(random.uniform(0, self.backoff))
            self.backoff = min(self.backoff * 2, self.reconnect_max)

    def paused(self):
        """W15: this process was stopped. It has to read before it judges; nothing may start
        before a HEARTBEAT that is sent from now on is acknowledged."""
        self.gate, self.heard, self.acked_at = SHUT, self.now, self.now

    def may_start(self):
        """W5, W15: whether the broker knows what is held here, so that it is not run elsewhere."""
        return self.state == UP and self.acked >= self.gate


def clock_ms():
    """The clock of sent_ms."""
    return int(time.monotonic() * 1000) & prv1.NEVER
