"""The codec against every vector of protocol/testdata/vectors.json (section 21).

Run it with /usr/bin/python3 test_prv1.py; it needs nothing but the standard library.
"""
import json
import unittest
import uuid
from pathlib import Path

import prv1

ROOT = Path(__file__).resolve().parents[2]
VECTORS = json.loads((ROOT / "protocol/testdata/vectors.json").read_text())
NUMBERS = ("code flags number remaining_ms sent_ms interest_ms link seq ack lease_ms attempt "
           "retry_after_ms credit part waited_ms process remember_max").split()
INTERVALS = ("heartbeat_ms", "liveness", "reconnect_max_ms", "retention_ms")
LIMITS = ("message_bytes_max", "frames_max")
STATES = {state.name.lower().replace("_", "-"): state for state in prv1.State}


def from_fields(f):
    """A message with these fields of a vector; a field that is not known here fails the test."""
    f = dict(f)
    m = prv1.Message(prv1.Command[f.pop("command")])
    for name in NUMBERS:
        setattr(m, name, f.pop(name, 0))
    m.id = uuid.UUID(f.pop("id", "0" * 32)).bytes
    m.epoch = int(f.pop("epoch", "0"), 16)
    m.instance = octets(f.pop("instance", ""))
    m.digest = octets(f.pop("digest", ""))
    m.service = f.pop("service", "")
    m.services = f.pop("services", [])
    m.body = [bytes.fromhex(frame) for frame in f.pop("body", [])]
    m.entries = [(uuid.UUID(e["id"]).bytes, e["attempt"], int(e["epoch"], 16), STATES[e["state"]],
                  e["flags"], e["remaining_ms"], e["progress_ms"], octets(e["digest"]))
                 for e in f.pop("entries", [])]
    m.acks = [(uuid.UUID(a["id"]).bytes, a["attempt"], int(a["epoch"], 16), a["remaining_ms"],
               int(a["superseded"])) for a in f.pop("acks", [])]
    for name, parts in ("intervals", INTERVALS), ("limits", LIMITS):
        value = f.pop(name, None)
        setattr(m, name, tuple(value[part] for part in parts) if value else ())
    if "stream" in f:
        stream = f.pop("stream")
        m.stream = octets(stream["run"]), stream["part"], stream["grant"]
    m.e2e = [(prv1.HEADER, bytes([len(k.encode())]) + k.encode() + v.encode())
             for k, v in f.pop("headers", {}).items()]
    for name in "label", "host", "version":
        setattr(m, name, f.pop(name, ""))
    if "served" in f:
        served = f.pop("served")
        m.served = served["workers"], served.get("nearest", "")
    for name in "trace", "error_text", "error_code":
        if name in f:
            m.e2e.append((getattr(prv1, name.upper()), f.pop(name).encode()))
    if f:
        raise AssertionError(f"fields that this test does not know: {f}")
    return m


def octets(text):
    return bytes.fromhex(text or "0" * 16)


def comparable(m):
    """What a message holds. Of an ack's status only bit 0 is read."""
    fields = dict(vars(m), acks=[(*a[:4], a[4] & 1) for a in m.acks])
    return {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}


class Vectors(unittest.TestCase):
    maxDiff = None

    def test_all(self):
        self.assertGreater(len(VECTORS), 100)
        for v in VECTORS:
            frames = [bytes.fromhex(frame) for frame in v["frames"]]
            with self.subTest(v["name"], meaning=v["meaning"]):
                if v["valid"]:
                    self.valid(v, frames)
                else:
                    self.invalid(v, frames)

    def valid(self, v, frames):
        want = from_fields(v["fields"])
        got = prv1.decode(v["direction"], frames)
        self.assertEqual(comparable(got), comparable(want))
        if v.get("canonical"):
            self.assertEqual(prv1.encode(v["direction"], want), frames, "from the fields")
            self.assertEqual(prv1.encode(v["direction"], got), frames, "from what was read")

    def invalid(self, v, frames):
        with self.assertRaises(prv1.Refused) as caught:
            prv1.decode(v["direction"], frames)
        where = tuple(v["error"][name] for name in ("kind", "frame", "offset"))
        self.assertEqual(caught.exception.args[:3], where, str(caught.exception))


if __name__ == "__main__":
    unittest.main()
