"""What a worker holds and remembers: docs/protocol.md, section 14, rules W8 to W14.
Only handle() and Work.progress() run in threads; all else belongs to the worker's loop.
"""
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import prv1
from prv1 import Code, Flag, State

WITHDRAWN = 1  # reason of a CANCEL: its client withdrew it


class Failed(Exception):
    """Raised by a handler: FAILED, with a text and a code of its own."""

    def __init__(self, text, code=""):
        super().__init__(text)
        self.code = code


class Retry(Exception):
    """Raised by a handler that asks for another attempt."""


class Work:
    """One request; to its handler, the context of the run."""

    def __init__(self, table, m, deadline):
        self.table, self.id, self.service = table, m.id, m.service
        self.body, self.e2e = m.body, m.e2e  # of the request; once it is finished, of the reply
        self.state, self.flags = State.UNSTARTED, m.flags & Flag.AT_MOST_ONCE
        self.maybe_rerun = bool(m.flags & Flag.MAYBE_RERUN)
        self.cancelled, self.cancelled_at = threading.Event(), None
        self.withdrawn = False  # CANCEL "withdrawn" reached its run
        self.ran = False  # it ran to a final reply or was withdrawn: it never runs here again
        self.adopt(m, deadline)

    def adopt(self, m, deadline):
        """Takes the fence of a newer hand-over."""
        self.attempt, self.epoch, self.digest, self.deadline = m.number, m.epoch, m.digest, deadline
        self.fence = self.id, self.attempt, self.epoch

    def entry(self, now):
        """Its item in a list (section 9)."""
        progress = prv1.duration(now - self.progressed) if self.state == State.RUNNING else 0
        return (*self.fence, self.state, self.flags, prv1.duration(self.deadline - now), progress,
                self.digest)

    def finish(self, code, flags=0, body=(), e2e=()):
        """Its reply, to be kept until an ack names its fence (W12)."""
        if self.withdrawn and code != Code.OK:
            code, body, e2e = Code.GONE, (), ()  # W13: a later broker must know that it ran
        # Of this attempt: one that found the id finished was not cancelled itself.
        touched = self.flags & Flag.CTX_CANCELLED if self.state < State.FINISHED else 0
        self.state, self.sent, self.body, self.e2e = State.FINISHED, False, body, e2e
        self.code, self.reply_flags = code, flags | touched
        self.final = code == Code.OK or code in (Code.FAILED, Code.TIMEOUT) and not touched
        self.ran = self.ran or self.final or self.withdrawn

    def cancel(self, now):
        """Ends the handler's context; the handler should look at cancelled now and then."""
        self.cancelled_at = self.cancelled_at or now
        self.cancelled.set()

    def progress(self):
        """For the handler: it gets on. The lease counts anew."""
        self.progressed = time.monotonic()
        self.table.post(self)


class Table:
    """All requests of a worker, by id."""

    def __init__(self, handler, credit, wake, room=16 << 20, ids_max=100_000):
        self.handler, self.credit_max, self.wake = handler, min(credit, 4096), wake
        self.room, self.ids_max = room, ids_max  # bytes of kept bodies; ids remembered
        self.held = {}  # unstarted, running, finished
        self.kept = {}  # acknowledged: kept, id-only; oldest first
        self.side = []  # replies for a fence that did not get the run that goes on here (W9)
        self.runs = set()  # what has a thread, also if it was handed back meanwhile
        self.pool, self.events = ThreadPoolExecutor(self.credit_max), queue.SimpleQueue()

    def listing(self, now, everything=False):
        """Entries for HEARTBEAT, or for READY (W3, W7)."""
        kept = self.kept.values() if everything else ()
        return [w.entry(now) for w in (*self.held.values(), *self.side, *kept)]

    def finished(self):
        """What has a reply that is not acknowledged."""
        return [w for w in (*self.held.values(), *self.side) if w.state == State.FINISHED]

    def credit(self, now, patience):
        """W8, less what has ignored its cancelled context; W13: a full table takes no new ids."""
        stuck = sum(bool(w.cancelled_at and now - w.cancelled_at > patience) for w in self.runs)
        return max(0, min(self.credit_max - stuck, self.ids_max - len(self.kept)))

    def request(self, m, deadline):
        """W9. What came is looked up first."""
        w = self.held.get(m.id) or self.kept.get(m.id)
        if w and w.epoch == m.epoch and m.number < w.attempt:
            return  # an older attempt than the one held
        if w and w.state in (State.UNSTARTED, State.RUNNING):
            if not w.cancelled.is_set():
                return w.adopt(m, deadline)  # never started twice
            self.side.append(Work(self, m, deadline))  # the run goes on under its own fence
            return self.side[-1].finish(Code.HANDED_BACK)
        if w and w.ran:
            self.held[m.id] = self.kept.pop(m.id, w)
            w.adopt(m, deadline)
            if not w.final or w.state == State.ID_ONLY:
                return w.finish(Code.GONE)
            return w.finish(w.code, Flag.FROM_KEPT, w.body, w.e2e)
        self.held[m.id] = Work(self, m, deadline)
        if m.flags & Flag.REPLAY_ONLY:
            self.held[m.id].finish(Code.GONE)

    def cancel(self, m, now):
        """W14. Only the fence that is held counts."""
        w = self.held.get(m.id)
        if not w or w.fence != (m.id, m.number, m.epoch) or w.state == State.FINISHED:
            return  # finished or not known: nothing
        w.flags |= Flag.CTX_CANCELLED
        if w.state == State.UNSTARTED:
            return w.finish(Code.HANDED_BACK)
        w.withdrawn = w.withdrawn or m.code == WITHDRAWN
        w.cancel(now)

    def ack(self, item, now, heartbeat, retention):
        """W13. What an acknowledged reply leaves behind."""
        *fence, remaining, status = item
        self.side = [w for w in self.side if w.fence != tuple(fence)]
        w = self.held.get(item[0])
        if not w or w.fence != tuple(fence) or w.state != State.FINISHED:
            return
        del self.held[w.id]
        if w.withdrawn or w.ran and not status & 1:  # bit 0: superseded
            w.deadline, w.kept_until = now + remaining / 1000, now + retention
            w.forget_at = max(w.deadline + heartbeat, w.kept_until)
            w.state = State.KEPT if w.final and not w.withdrawn else State.ID_ONLY
            self.kept[w.id] = w

    def tidy(self, now):
        """W13: retention ends, oldest bodies go where room is short, ids at their own time."""
        size = sum(len(frame) for w in self.kept.values() for frame in w.body)
        for w in list(self.kept.values()):
            if w.state == State.ID_ONLY or now >= w.kept_until or size > self.room:
                size -= sum(map(len, w.body))
                w.state, w.body, w.e2e = State.ID_ONLY, (), ()
            if now >= w.forget_at:
                del self.kept[w.id]

    def start(self, now, may_start, draining):
        """Starts what is unstarted and may be; ends the contexts of runs whose time is over."""
        for w in [w for w in self.held.values() if w.state != State.FINISHED]:
            running = w.state == State.RUNNING
            if now >= w.deadline:  # W10
                w.cancel(now) if running else w.finish(Code.EXPIRED)
            elif draining and not running:
                w.finish(Code.HANDED_BACK)  # W16
            elif may_start and not running and len(self.runs) < self.credit_max:
                w.state, w.progressed = State.RUNNING, now
                self.runs.add(w)
                self.pool.submit(self.handle, w, w.body)
                yield w  # to be told as PROGRESS (W11)

    def handle(self, w, body):
        """In a thread of the pool: runs the handler, and gives the loop its outcome."""
        try:
            got = self.handler(w, body)
            reply = Code.OK, 0, [got] if isinstance(got, bytes) else list(got), ()
        except BaseException as e:  # whatever it is, the worker outlives it
            e2e = [(prv1.ERROR_TEXT, cut(str(e) or type(e).__name__, 4096))]
            if isinstance(e, Failed) and e.code:
                e2e.append((prv1.ERROR_CODE, cut(e.code, 255)))
            reply = Code.RETRY if isinstance(e, Retry) else Code.FAILED, 0, (), e2e
        self.post(w, *reply)

    def post(self, w, *reply):  # from a thread
        self.events.put((w, reply))
        self.wake()

    def happened(self):
        """In the loop: takes in what handlers did; yields those that got on."""
        while not self.events.empty():
            w, reply = self.events.get()
            if reply:
                self.runs.discard(w)
            if w.state != State.RUNNING:
                continue  # handed back while it ran (W16)
            if reply:
                w.finish(*reply)
            else:
                yield w


def cut(text, size):
    """At most that many bytes of a text, whole characters."""
    return text.encode()[:size].decode("utf-8", "ignore").encode()
