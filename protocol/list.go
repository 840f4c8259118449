package protocol

import (
	"encoding/binary"
	"slices"
)

// A State says how far an entry of a worker's list has come.
type State uint8

// The states of an entry.
const (
	Unstarted State = 1 // taken, its handler not started
	Running   State = 2 // its handler runs
	Finished  State = 3 // its reply is not yet acknowledged
	Kept      State = 4 // acknowledged, body kept: can be replayed (only in READY)
	IDOnly    State = 5 // finished, body no longer kept (only in READY)
)

func (s State) String() string {
	if s >= Unstarted && s <= IDOnly {
		return [...]string{"unstarted", "running", "finished", "kept", "id-only"}[s-1]
	}
	return "STATE(" + itoa(int(s)) + ")"
}

// An Entry is one request that a worker holds or remembers. (ID, Attempt,
// Epoch) is the fence.
type Entry struct {
	ID          ID
	Attempt     uint32
	Epoch       uint64
	State       State
	Flags       Flags  // AtMostOnce, Partial, CtxCancelled
	RemainingMS uint32 // left of its deadline
	ProgressMS  uint32 // since it was started or last reported progress
	Digest      uint64 // as the broker gave it
}

const entryBytes = 48

// AppendEntries appends the list frame of READY, HEARTBEAT and DISCONNECT.
func AppendEntries(dst []byte, list []Entry) []byte {
	be := binary.BigEndian
	for i := range list {
		e := &list[i]
		dst = append(dst, e.ID[:]...)
		dst = be.AppendUint32(dst, e.Attempt)
		dst = be.AppendUint64(dst, e.Epoch)
		dst = append(dst, byte(e.State), 0)
		dst = be.AppendUint16(dst, uint16(e.Flags))
		dst = be.AppendUint32(dst, e.RemainingMS)
		dst = be.AppendUint32(dst, e.ProgressMS)
		dst = be.AppendUint64(dst, e.Digest)
	}
	return dst
}

func parseEntries(b []byte, m *Message) *Error {
	be := binary.BigEndian
	if len(b)%entryBytes != 0 {
		return fail(ErrTruncated, 1, len(b)-len(b)%entryBytes, "list is not a whole number of 48-byte entries")
	}
	if len(b)/entryBytes > EntriesMax {
		return fail(ErrLimit, 1, EntriesMax*entryBytes, "more than 4096 entries")
	}
	m.Entries = slices.Grow(m.Entries, len(b)/entryBytes)
	for at := 0; at < len(b); at += entryBytes {
		v := b[at : at+entryBytes]
		e := Entry{
			Attempt: be.Uint32(v[16:]), Epoch: be.Uint64(v[20:]), State: State(v[28]),
			Flags: Flags(be.Uint16(v[30:])), RemainingMS: be.Uint32(v[32:]),
			ProgressMS: be.Uint32(v[36:]), Digest: be.Uint64(v[40:]),
		}
		copy(e.ID[:], v)
		switch {
		case e.ID.IsZero():
			return fail(ErrField, 1, at, "request id is all zero")
		case e.Attempt == 0:
			return fail(ErrField, 1, at+16, "attempt is 0; they count from 1")
		case e.Epoch == 0:
			return fail(ErrField, 1, at+20, "epoch is 0")
		case e.State < Unstarted || e.State > IDOnly:
			return fail(ErrField, 1, at+28, "unknown state "+itoa(int(v[28])))
		case e.State >= Kept && m.Command != Ready:
			return fail(ErrField, 1, at+28, "state "+e.State.String()+" belongs in READY")
		}
		m.Entries = append(m.Entries, e)
	}
	return nil
}

// An Acked names a worker's reply that the broker has taken, or has no use
// for. RemainingMS is what is left of the request's deadline: how long its id
// must be remembered.
type Acked struct {
	ID          ID
	Attempt     uint32
	Epoch       uint64
	RemainingMS uint32
	Superseded  bool // another attempt finished first: forget this one
}

const ackBytes = 36

// AppendAcks appends the list frame of ACK and of the broker's HEARTBEAT.
func AppendAcks(dst []byte, list []Acked) []byte {
	be := binary.BigEndian
	for i := range list {
		a := &list[i]
		dst = append(dst, a.ID[:]...)
		dst = be.AppendUint32(dst, a.Attempt)
		dst = be.AppendUint64(dst, a.Epoch)
		dst = be.AppendUint32(dst, a.RemainingMS)
		var s byte
		if a.Superseded {
			s = 1
		}
		dst = append(dst, s, 0, 0, 0)
	}
	return dst
}

func parseAcks(b []byte, m *Message) *Error {
	be := binary.BigEndian
	if len(b)%ackBytes != 0 {
		return fail(ErrTruncated, 1, len(b)-len(b)%ackBytes, "list is not a whole number of 36-byte acknowledgements")
	}
	if len(b)/ackBytes > EntriesMax {
		return fail(ErrLimit, 1, EntriesMax*ackBytes, "more than 4096 acknowledgements")
	}
	m.Acks = slices.Grow(m.Acks, len(b)/ackBytes)
	for at := 0; at < len(b); at += ackBytes {
		v := b[at : at+ackBytes]
		a := Acked{Attempt: be.Uint32(v[16:]), Epoch: be.Uint64(v[20:]), RemainingMS: be.Uint32(v[28:]), Superseded: v[32]&1 != 0}
		copy(a.ID[:], v)
		switch {
		case a.ID.IsZero():
			return fail(ErrField, 1, at, "request id is all zero")
		case a.Attempt == 0:
			return fail(ErrField, 1, at+16, "attempt is 0; they count from 1")
		case a.Epoch == 0:
			return fail(ErrField, 1, at+20, "epoch is 0")
		}
		m.Acks = append(m.Acks, a)
	}
	return nil
}
