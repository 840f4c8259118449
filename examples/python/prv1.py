"""PRV1 on the wire (docs/protocol.md, sections 3 to 9): messages to frames and back.
decode() takes and refuses what the text says; encode() writes the canonical form, unchecked.
"""
import struct
import unicodedata
from enum import IntEnum, IntFlag

C2B, B2C, W2B, B2W = "client-to-broker", "broker-to-client", "worker-to-broker", "broker-to-worker"

Command = IntEnum("Command", "PING PONG REQUEST ACCEPTED REPLY CANCEL CREDIT READY WELCOME "
                  "HEARTBEAT PROGRESS ACK DISCONNECT")
(PING, PONG, REQUEST, ACCEPTED, REPLY, CANCEL, CREDIT, READY, WELCOME, HEARTBEAT, PROGRESS, ACK,
 DISCONNECT) = Command
Code = IntEnum("Code", [(name, i + 1) for i, name in enumerate(
    "OK FAILED TIMEOUT EXPIRED CANCELLED WORKER_LOST GONE NO_SERVICE OVERLOADED DRAINING DENIED "
    "INVALID UNKNOWN UNREACHABLE".split())] + [("RETRY", 32), ("HANDED_BACK", 33)])
Reason = IntEnum("Reason", "UNKNOWN SHUTTING_DOWN INVALID VERSION FULL RESET")  # DISCONNECT's
Flag = IntFlag("Flag", "AT_MOST_ONCE MAYBE_SENT NO_WAIT CAN_TAKE_MORE FINISH RETRYABLE PARTIAL "
               "MAYBE_RERUN REPLAY_ONLY FROM_KEPT CTX_CANCELLED STARTED LAST DRAINING")
State = IntEnum("State", "UNSTARTED RUNNING FINISHED KEPT ID_ONLY")  # of entries
HEADER, TRACE, ERROR_TEXT, ERROR_CODE = 128, 129, 130, 131  # end-to-end fields
NEVER, NO_STREAM = 2**32 - 1, (bytes(8), 0, 0)  # no duration; no run, part and grant

# Which certainties an outcome may have; they are bits 14 and 15 of the flags (section 3).
Certainty = IntEnum("Certainty", "NOT_STARTED MAYBE_STARTED RAN")
ALLOWED = dict(enumerate("3 3 23 12 12 2 3 12 12 12 12 12 2".split(), 1))  # OK to UNKNOWN
CODES = {(C2B, REQUEST): (0, 1, 2), (B2C, REPLY): ALLOWED, (W2B, REPLY): (1, 2, 3, 4, 7, 32, 33),
         (B2W, CANCEL): (1, 2, 3, 4, 5), (W2B, DISCONNECT): Reason, (B2W, DISCONNECT): Reason}

# Hop-by-hop fields: attribute of Message and form of the value; SERVICE is text, and repeatable.
HOP = {1: ("lease_ms", ">I"), 2: ("digest", "8s"), 3: ("attempt", ">I"),
       4: ("retry_after_ms", ">I"), 5: ("credit", ">I"), 6: ("instance", "8s"), 7: ("part", ">I"),
       8: ("services", None), 9: ("intervals", ">4I"), 10: ("limits", ">QI"),
       11: ("stream", ">8sII"), 12: ("waited_ms", ">I"), 17: ("served", "served"),
       18: ("label", "text"), 19: ("host", "text"), 20: ("process", ">I"), 21: ("version", "text"),
       22: ("remember_max", ">I")}
# What is legal where: the hop-by-hop fields, and what follows the header (sections 6 and 7).
LEGAL = {C2B: {PING: ((), None), REQUEST: ((11,), "body"), CANCEL: ((), None),
               CREDIT: ((11,), None)},
         B2C: {PONG: ((9, 10), None), ACCEPTED: ((17,), None), REPLY: ((3, 4, 11), "body")},
         W2B: {READY: ((5, 6, 7, 8, 18, 19, 20, 21), "entries"), HEARTBEAT: ((5,), "entries"),
               REPLY: ((11,), "body"), PROGRESS: ((), None), DISCONNECT: ((), "entries")},
         B2W: {WELCOME: ((9, 10, 22), None), REQUEST: ((1, 2, 11, 12), "body"), CANCEL: ((), None),
               CREDIT: ((11,), None), ACK: ((), "acks"), HEARTBEAT: ((), "acks"),
               DISCONNECT: ((), None)}}
FIXED = struct.Struct(">4sBBH16sIQII12sB")  # the header up to the service's length
# entry: id, attempt, epoch, state, flags, remaining_ms, progress_ms, digest
# ack: id, attempt, epoch, remaining_ms, superseded (bit 0)
LISTS = {"entries": struct.Struct(">16sIQBxHII8s"), "acks": struct.Struct(">16sIQIBxxx")}


class Refused(ValueError):
    """Not a message. args: kind, frame and offset as in the vectors, and a text."""


class Message:
    """All fields of all commands; what is absent is 0 or empty. number is the try or attempt."""

    def __init__(self, command, code=0, flags=0, id=bytes(16), number=0, epoch=0, remaining_ms=0,
                 sent_ms=0, instance=bytes(8), interest_ms=0, link=0, seq=0, ack=0, service="",
                 lease_ms=0, digest=bytes(8), attempt=0, retry_after_ms=0, credit=0, part=0,
                 services=(), intervals=(), limits=(), stream=NO_STREAM, waited_ms=0, served=(),
                 label="", host="", process=0, version="", remember_max=0, e2e=(), body=(),
                 entries=(), acks=()):
        vars(self).update((k, v) for k, v in locals().items() if k != "self")

    def text(self, kind=ERROR_TEXT):
        """The end-to-end field of this type, "" if there is none."""
        return next((v.decode("utf-8", "replace") for k, v in self.e2e if k == kind), "")


def duration(seconds):
    """Seconds as a duration on the wire."""
    return max(0, min(int(seconds * 1000), NEVER - 1))


def encode(direction, m):
    """The frames of a message, without an envelope."""
    service, (hops, rest) = m.service.encode(), LEGAL[direction][m.command]
    side = (struct.pack(">8sI", m.instance, m.interest_ms) if direction in (C2B, B2C)
            else struct.pack(">III", m.link, m.seq, m.ack))
    out = [FIXED.pack(b"PRV1", m.command, m.code, m.flags, m.id, m.number, m.epoch,
                      m.remaining_ms, m.sent_ms, side, len(service)), service]
    fields = []
    for kind, name, form in ((kind, *HOP[kind]) for kind in hops):
        value = getattr(m, name)
        if kind == 8:
            fields += [(8, name.encode()) for name in value]
        elif value in (0, bytes(8), (), NO_STREAM, ""):  # 0 is left out (section 8)
            continue
        elif form == "text":
            fields.append((kind, value.encode()))
        elif form == "served":  # a number of workers, and a name or none
            fields.append((kind, struct.pack(">I", value[0]) + value[1].encode()))
        else:
            fields.append((kind, struct.pack(form, *(value if type(value) is tuple else [value]))))
    fields += m.e2e
    out += [struct.pack(">BH", kind, len(value)) + value for kind, value in fields]
    frames = getattr(m, rest) if rest else ()
    if rest in LISTS:
        frames = [b"".join(LISTS[rest].pack(*item) for item in frames)] if frames else ()
    return [b"".join(out), *frames]


def decode(direction, frames):
    """The message in these frames, without an envelope; raises Refused."""
    h = bytes(frames[0]) if frames else b""
    no(len(h) < 5 or h[:3] != b"PRV" or not h[3:4].isdigit() or h[4] > 31, 0, "no PRV", "framing")
    no(h[3:4] != b"1", 3, "another version", "version")
    no(len(h) > 65536, 0, "header over 65,536 bytes", "limit")
    no(len(h) < 57, len(h), "header under 57 bytes", "truncated")
    no(h[4] not in LEGAL[direction], 4, "not a command in this direction", "command")
    _, *fixed, side, n = FIXED.unpack_from(h)
    m, (hops, rest), end = Message(*fixed), LEGAL[direction][h[4]], 57 + n
    if direction in (C2B, B2C):
        m.instance, m.interest_ms = struct.unpack(">8sI", side)
    else:
        m.link, m.seq, m.ack = struct.unpack(">III", side)
    no(end > len(h), 56, "service reaches past the frame", "truncated")
    m.service = service_name(h[57:end], 57) if n and m.command == REQUEST else ""

    m.services, m.e2e, where, e2e_at, at = [], [], {}, len(h), end
    while at < len(h):
        no(at + 3 > len(h), at, "field cut short", "truncated")
        start, (kind, size) = at, struct.unpack_from(">BH", h, at)
        value, at = h[at + 3:at + 3 + size], at + 3 + size
        no(kind == 0, start, "field of type 0")
        no(at > len(h), start, "field reaches past the frame", "truncated")
        no(kind < 128 and m.e2e, start, "hop-by-hop field after an end-to-end one")
        name, form = HOP[kind] if kind in hops else ("", None)
        if kind >= 128:
            e2e_at = min(e2e_at, start)
            m.e2e.append((kind, value))
        elif name == "services":
            m.services.append(service_name(value, start))
            no(len(m.services) > 256, start, "more than 256 services", "limit")
        elif form in ("text", "served"):
            no(kind in where, start, "field is there twice")
            where[kind] = start
            setattr(m, name, text_of(value, start) if form == "text" else served(value, start))
        elif name:  # the others are skipped, whatever their length (section 8)
            no(kind in where, start, "field is there twice")
            no(size != struct.calcsize(form), start, "wrong size of a field")
            got, where[kind] = struct.unpack(form, value), start
            setattr(m, name, got if len(got) > 1 else got[0])
    no(len(h) - e2e_at > 8192, e2e_at, "end-to-end fields over 8,192 bytes", "limit")
    check(direction, m, where)

    most = {None: 1, "body": 1025}.get(rest, 2)
    no(len(frames) > most, 0, "too many frames", "limit" if rest == "body" else "framing", most)
    if rest:
        setattr(m, rest, unlist(m.command, rest, frames[1:]) if rest in LISTS else list(frames[1:]))
    return m


def no(bad, offset, text, kind="field", frame=0):
    """Refuses what is bad."""
    if bad:
        raise Refused(kind, frame, offset, text)


def service_name(name, offset):
    no(not name, offset, "empty service name")
    no(len(name) > 255, offset, "service name over 255 bytes", "limit")
    text = name.decode("utf-8", "replace")
    no(text.encode() != name, offset, "service name is not UTF-8")
    no("Cc" in map(unicodedata.category, text), offset, "control character")
    return text


def text_of(value, offset):
    no(not 0 < len(value) < 256, offset, "label, host or version is empty, or over 255 bytes")
    return service_name(value, offset)


def served(value, offset):
    no(len(value) < 4, offset, "wrong size of a field")
    no(len(value) > 259, offset, "service name over 255 bytes")
    return struct.unpack(">I", value[:4])[0], service_name(value[4:], offset) if value[4:] else ""


def check(d, m, where):
    """What a reader refuses beyond the form of each field (the end of section 7)."""
    c, this, back, (run, part, grant) = m.command, (d, m.command), d in (W2B, B2W), m.stream
    asks, answers, partial = this == (C2B, REQUEST), this == (B2C, REPLY), m.flags & Flag.PARTIAL
    named, again = c in (REQUEST, REPLY, CANCEL, CREDIT, PROGRESS), m.flags & Flag.MAYBE_SENT
    no(this in CODES and m.code not in list(CODES[this]), 5, "no code of this command")
    no(answers and str(m.flags >> 14) not in ALLOWED[m.code], 6, "no certainty of this outcome")
    no(asks and m.number > 1 and not again, 6, "a later try without MAYBE_SENT")
    no(c == REPLY and partial and (m.code != Code.OK or not any(run) or not part), 6, "no part")
    if (named or c == ACCEPTED) and not (answers and m.code == Code.INVALID):  # section 17
        no(not any(m.id), 8, "id is 0")
        no(not m.number, 24, "try or attempt is 0")
    no(not m.epoch and (c in (PONG, WELCOME) or back and named), 28, "epoch is 0")
    no(m.remaining_ms == NEVER and (c == REQUEST or this == (C2B, CANCEL)), 36, "no duration")
    no(d == C2B and c in (REQUEST, CREDIT) and m.interest_ms == NEVER, 52, "no duration")
    no(d == C2B and c in (REQUEST, CREDIT, CANCEL) and not any(m.instance), 44, "instance is 0")
    no(back and not m.link and this != (B2W, DISCONNECT), 44, "link is 0")
    no(back and not m.seq and c != DISCONNECT, 48, "seq is 0")
    for kind in (1, 4, 12):
        no(getattr(m, HOP[kind][0]) == NEVER, where.get(kind), "no duration")
    no(m.credit > 4096, where.get(5), "credit over 4,096", "limit")
    no(m.part > 1023, where.get(7), "more than 1,024 parts", "limit")
    no(c == READY and m.seq != m.part + 1 or c == WELCOME and m.seq != 1, 48, "wrong seq")
    no(c == READY and not any(m.instance), 57, "no INSTANCE")
    bounds = zip(m.intervals, (1, 1, 1, 0), (60000, 100, 600000, NEVER - 1))
    no(not all(low <= n <= high for n, low, high in bounds), where.get(9), "out of bounds")
    no(m.limits and not all(m.limits), where.get(10), "a limit of 0")
    no(c == WELCOME and not m.intervals or c in (WELCOME, PONG) and not m.limits, 57, "no LIMITS")
    no(c == REQUEST and partial and not 1 <= grant <= 1024, 57, "no grant of 1 to 1,024")
    no(c == CREDIT and not any(run) and (part or not again), 57, "names no run")
    no(c == CREDIT and not part <= grant <= part + 1024, 57, "no grant")


def unlist(command, rest, frames):
    """The items of a list frame (section 9)."""
    form, data = LISTS[rest], frames[0] if frames else b""
    no(len(data) > 4096 * form.size, 0, "more than 4,096 items", "limit", 1)
    no(len(data) % form.size, len(data) // form.size * form.size, "half an item", "truncated", 1)
    items, states = list(form.iter_unpack(data)), range(1, 6 if command == READY else 4)
    for i, (rid, attempt, epoch, state, *_) in enumerate(items):
        at, wrong = i * form.size, rest == "entries" and state not in states
        no(not any(rid), at, "id is 0", "field", 1)
        no(not attempt, at + 16, "attempt is 0", "field", 1)
        no(not epoch, at + 20, "epoch is 0", "field", 1)
        no(wrong, at + 28, "no such state here", "field", 1)
    return items
