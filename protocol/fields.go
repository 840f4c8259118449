package protocol

import "encoding/binary"

// Extension field types. 1–127 are hop-by-hop, 128–255 end-to-end; the
// hop-by-hop ones come first. 0 is none.
const (
	extLease      = 1
	extDigest     = 2
	extAttempt    = 3
	extRetryAfter = 4
	extCredit     = 5
	extInstance   = 6
	extPart       = 7
	extService    = 8
	extIntervals  = 9
	extLimits     = 10
	extStream     = 11
	extWaited     = 12
	// 13 to 16 are kept free.
	extServed   = 17
	extLabel    = 18
	extHost     = 19
	extProcess  = 20
	extVersion  = 21
	extRemember = 22
)

// fieldBytes is the exact size of each hop-by-hop field; 0 is "any".
var fieldBytes = [...]int{extLease: 4, extDigest: 8, extAttempt: 4, extRetryAfter: 4, extCredit: 4,
	extInstance: 8, extPart: 4, extService: 0, extIntervals: 16, extLimits: 12, extStream: 16, extWaited: 4,
	extServed: 0, extLabel: 0, extHost: 0, extProcess: 4, extVersion: 0, extRemember: 4}

// fieldsOf is the set of hop-by-hop fields that cmd has in direction d, one
// bit for each type. The others are skipped like unknown ones, so that no peer
// sets what is not its to say.
func fieldsOf(d Direction, cmd Command) uint32 {
	switch {
	case d == FrontOut && cmd == Accepted:
		return 1 << extServed
	case d == FrontOut && cmd == Pong:
		return 1<<extIntervals | 1<<extLimits
	case d == FrontOut && cmd == Reply:
		return 1<<extAttempt | 1<<extRetryAfter | 1<<extStream
	case d == BackIn && cmd == Ready:
		return 1<<extCredit | 1<<extInstance | 1<<extPart | 1<<extService | 1<<extLabel | 1<<extHost | 1<<extProcess | 1<<extVersion
	case d == BackIn && cmd == Heartbeat:
		return 1 << extCredit
	case d == BackOut && cmd == Welcome:
		return 1<<extIntervals | 1<<extLimits | 1<<extRemember
	case d == BackOut && cmd == Request:
		return 1<<extLease | 1<<extDigest | 1<<extStream | 1<<extWaited
	case d == FrontIn && (cmd == Request || cmd == Credit), d == BackIn && cmd == Reply, d == BackOut && cmd == Credit:
		return 1 << extStream
	}
	return 0
}

// parseFields reads the extension area h[at:].
func parseFields(d Direction, h []byte, at int, m *Message) *Error {
	wanted, seen := fieldsOf(d, m.Command), uint32(0)
	for at < len(h) {
		if len(h)-at < 3 {
			return fail(ErrTruncated, 0, at, "extension field cut short")
		}
		typ, n := h[at], int(h[at+1])<<8|int(h[at+2])
		if typ == 0 {
			return fail(ErrField, 0, at, "extension field of type 0")
		}
		if typ >= 128 {
			return parseMeta(h, at, m)
		}
		if len(h)-at-3 < n {
			return fail(ErrTruncated, 0, at, "extension field reaches past the frame")
		}
		if int(typ) < len(fieldBytes) && wanted&(1<<typ) != 0 {
			if want := fieldBytes[typ]; want != 0 && n != want {
				return fail(ErrField, 0, at, "extension field has the wrong size")
			}
			if seen&(1<<typ) != 0 && typ != extService {
				return fail(ErrField, 0, at, "extension field is there twice")
			}
			seen |= 1 << typ
			if err := m.setField(typ, h[at+3:at+3+n:at+3+n], at); err != nil {
				return err
			}
		}
		at += 3 + n
	}
	return nil
}

// parseMeta checks that h[at:] is a run of end-to-end fields, and keeps it whole.
func parseMeta(h []byte, at int, m *Message) *Error {
	if len(h)-at > MetaBytesMax {
		return fail(ErrLimit, 0, at, "end-to-end fields over 8192 bytes together")
	}
	m.Meta = Meta(h[at:len(h):len(h)])
	for at < len(h) {
		if len(h)-at < 3 {
			return fail(ErrTruncated, 0, at, "extension field cut short")
		}
		n := int(h[at+1])<<8 | int(h[at+2])
		if h[at] < 128 {
			return fail(ErrField, 0, at, "hop-by-hop field after an end-to-end one")
		}
		if len(h)-at-3 < n {
			return fail(ErrTruncated, 0, at, "extension field reaches past the frame")
		}
		at += 3 + n
	}
	return nil
}

// setField keeps the hop-by-hop field at byte at; v has the right size.
func (m *Message) setField(typ byte, v []byte, at int) *Error {
	be := binary.BigEndian
	switch typ {
	case extLease:
		if m.LeaseMS = be.Uint32(v); m.LeaseMS > DurationMSMax {
			return fail(ErrField, 0, at, "lease is 4294967295 ms")
		}
	case extDigest:
		m.Digest = be.Uint64(v)
	case extAttempt:
		m.Attempt = be.Uint32(v)
	case extRetryAfter:
		if m.RetryAfterMS = be.Uint32(v); m.RetryAfterMS > DurationMSMax {
			return fail(ErrField, 0, at, "retry-after is 4294967295 ms")
		}
	case extCredit:
		if m.Credit = be.Uint32(v); m.Credit > CreditMax {
			return fail(ErrLimit, 0, at, "credit over 4096")
		}
	case extInstance:
		m.Instance = be.Uint64(v)
	case extPart:
		if m.Part = be.Uint32(v); m.Part >= PartsMax {
			return fail(ErrLimit, 0, at, "more than 1024 parts")
		}
	case extServed:
		return m.setServed(v, at)
	case extLabel, extHost, extVersion:
		return m.setText(typ, v, at)
	case extProcess:
		m.info().Process = be.Uint32(v)
	case extRemember:
		m.RememberMax = be.Uint32(v)
	case extService:
		if len(v) > ServiceBytesMax {
			return fail(ErrLimit, 0, at, "service name is longer than 255 bytes")
		}
		if why := ValidService(v); why != "" {
			return fail(ErrField, 0, at, why)
		}
		if len(m.Services) >= ServicesMax {
			return fail(ErrLimit, 0, at, "more than 256 services")
		}
		m.Services = append(m.Services, v)
	case extStream:
		m.Stream = Stream{be.Uint64(v), be.Uint32(v[8:]), be.Uint32(v[12:])}
	case extWaited:
		if m.WaitedMS = be.Uint32(v); m.WaitedMS > DurationMSMax {
			return fail(ErrField, 0, at, "waiting time is 4294967295 ms")
		}
	case extIntervals:
		return m.setIntervals(&Intervals{be.Uint32(v), be.Uint32(v[4:]), be.Uint32(v[8:]), be.Uint32(v[12:])}, at)
	case extLimits:
		m.Limits = &Limits{be.Uint64(v), be.Uint32(v[8:])}
		if m.Limits.MessageBytesMax == 0 || m.Limits.FramesMax == 0 {
			return fail(ErrField, 0, at, "a limit of 0")
		}
	}
	return nil
}

// setServed keeps v: a number of workers, and a name or none.
func (m *Message) setServed(v []byte, at int) *Error {
	if len(v) < 4 {
		return fail(ErrField, 0, at, "extension field has the wrong size")
	}
	m.Served = &Served{Workers: binary.BigEndian.Uint32(v), Nearest: v[4:]}
	if len(v) == 4 {
		m.Served.Nearest = nil
		return nil
	}
	if why := ValidService(v[4:]); why != "" {
		return fail(ErrField, 0, at, why)
	}
	return nil
}

// setText keeps what a worker says of itself.
func (m *Message) setText(typ byte, v []byte, at int) *Error {
	text := string(v)
	if why := ValidText(text); why != "" {
		return fail(ErrField, 0, at, "label, host or version "+why)
	}
	switch i := m.info(); typ {
	case extLabel:
		i.Label = text
	case extHost:
		i.Host = text
	default:
		i.Version = text
	}
	return nil
}

func (m *Message) info() *WorkerInfo {
	if m.Info == nil {
		m.Info = &WorkerInfo{}
	}
	return m.Info
}

// setIntervals keeps v where a peer can live by it: no timer of 0, no overflow.
func (m *Message) setIntervals(v *Intervals, at int) *Error {
	switch {
	case v.HeartbeatMS < 1 || v.HeartbeatMS > HeartbeatMSMax:
		return fail(ErrField, 0, at, "heartbeat is not 1 to 60000 ms")
	case v.Liveness < 1 || v.Liveness > LivenessMax:
		return fail(ErrField, 0, at, "liveness is not 1 to 100")
	case v.ReconnectMaxMS < 1 || v.ReconnectMaxMS > ReconnectMSMax:
		return fail(ErrField, 0, at, "reconnect maximum is not 1 to 600000 ms")
	case v.RetentionMS > DurationMSMax:
		return fail(ErrField, 0, at, "retention is 4294967295 ms")
	}
	m.Intervals = v
	return nil
}
