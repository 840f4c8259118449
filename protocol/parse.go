package protocol

import (
	"encoding/binary"
	"errors"
)

// Parse reads the message in frames, which arrived in direction d, into m,
// overwriting all of it (m.Entries, m.Acks and m.Services keep their capacity).
// m aliases frames. It never panics and allocates in proportion to its input
// only. The error is a *Error; m is then of no use, but for Command, ID,
// Number and Instance, which are set as far as the header could be read, so
// that the sender can be answered.
func Parse(d Direction, frames [][]byte, m *Message) error {
	*m = Message{Entries: m.Entries[:0], Acks: m.Acks[:0], Services: m.Services[:0]}
	if err := parse(d, frames, m); err != nil {
		return err
	}
	return nil
}

func parse(d Direction, frames [][]byte, m *Message) *Error {
	if len(frames) == 0 {
		return fail(ErrFraming, 0, 0, "no header frame")
	}
	if len(frames)-1 > FramesMax {
		return fail(ErrLimit, len(frames)-1, 0, "more than 1024 body frames")
	}
	h := frames[0]
	if err := parseFixed(d, h, m); err != nil {
		return err
	}
	end := HeaderBytesMin + int(h[56])
	if len(h) < end {
		return fail(ErrTruncated, 0, 56, "service name reaches past the frame")
	}
	if end > HeaderBytesMin {
		m.Service = h[HeaderBytesMin:end:end]
		if why := ValidService(m.Service); why != "" {
			return fail(ErrField, 0, HeaderBytesMin, why)
		}
	}
	if err := parseFields(h, end, m); err != nil {
		return err
	}
	if err := parseBody(d, frames[1:], m); err != nil {
		return err
	}
	return validate(d, m)
}

func parseFixed(d Direction, h []byte, m *Message) *Error {
	be := binary.BigEndian
	if !Sniff(h) {
		return fail(ErrFraming, 0, 0, "not a PRV header")
	}
	if h[3] != magic[3] {
		return fail(ErrVersion, 0, 3, "protocol version "+string(rune(h[3]))+" is not spoken here; version 1 is")
	}
	if len(h) > HeaderBytesMax {
		return fail(ErrLimit, 0, HeaderBytesMax, "header frame over 65536 bytes")
	}
	if len(h) < HeaderBytesMin {
		return fail(ErrTruncated, 0, len(h), "header shorter than 57 bytes")
	}
	m.Command = Command(h[4])
	m.Code = Code(h[5])
	m.Flags = Flags(be.Uint16(h[6:]))
	copy(m.ID[:], h[8:24])
	m.Number = be.Uint32(h[24:])
	m.Epoch = be.Uint64(h[28:])
	m.RemainingMS = be.Uint32(h[36:])
	m.SentMS = be.Uint32(h[40:])
	if d.front() {
		m.Instance = be.Uint64(h[44:])
		m.InterestMS = be.Uint32(h[52:])
	} else {
		m.Link = be.Uint32(h[44:])
		m.Seq = be.Uint32(h[48:])
		m.Ack = be.Uint32(h[52:])
	}
	if !Legal(d, m.Command) {
		return fail(ErrCommand, 0, 4, m.Command.String()+" is not a command "+d.String())
	}
	return nil
}

// parseFields reads the extension area h[at:].
func parseFields(h []byte, at int, m *Message) *Error {
	for at < len(h) {
		if len(h)-at < 3 {
			return fail(ErrTruncated, 0, at, "extension field cut short")
		}
		typ, n := h[at], int(h[at+1])<<8|int(h[at+2])
		if typ >= 128 {
			return parseMeta(h, at, m)
		}
		if len(h)-at-3 < n {
			return fail(ErrTruncated, 0, at, "extension field reaches past the frame")
		}
		if err := m.setField(typ, h[at+3:at+3+n:at+3+n]); err != nil {
			return fail(ErrField, 0, at, err.Error())
		}
		at += 3 + n
	}
	return nil
}

// parseMeta checks that h[at:] is a run of end-to-end fields, and keeps it whole.
func parseMeta(h []byte, at int, m *Message) *Error {
	m.Meta = Meta(h[at:len(h):len(h)])
	if len(m.Meta) > MetaBytesMax {
		return fail(ErrLimit, 0, at, "end-to-end fields over 8192 bytes together")
	}
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

var (
	errFieldSize    = errors.New("extension field has the wrong size")
	errServiceCount = errors.New("more than 256 services")
)

// setField keeps one hop-by-hop field. Unknown types are skipped.
func (m *Message) setField(typ byte, v []byte) error {
	be := binary.BigEndian
	want := fieldBytes[typ&15]
	if typ > extLimits || typ == 0 {
		return nil
	}
	if want != 0 && len(v) != want {
		return errFieldSize
	}
	switch typ {
	case extLease:
		m.LeaseMS = be.Uint32(v)
	case extDigest:
		m.Digest = be.Uint64(v)
	case extAttempt:
		m.Attempt = be.Uint32(v)
	case extRetryAfter:
		m.RetryAfterMS = be.Uint32(v)
	case extCredit:
		m.Credit = be.Uint32(v)
	case extInstance:
		m.Instance = be.Uint64(v)
	case extPart:
		m.Part = be.Uint32(v)
	case extService:
		if why := ValidService(v); why != "" {
			return errors.New(why)
		}
		if len(m.Services) >= ServicesMax {
			return errServiceCount
		}
		m.Services = append(m.Services, v)
	case extIntervals:
		m.Intervals = &Intervals{be.Uint32(v), be.Uint32(v[4:]), be.Uint32(v[8:]), be.Uint32(v[12:])}
	case extLimits:
		m.Limits = &Limits{be.Uint64(v), be.Uint32(v[8:])}
	}
	return nil
}

// fieldBytes is the exact size of each hop-by-hop field; 0 is "any".
var fieldBytes = [16]int{extLease: 4, extDigest: 8, extAttempt: 4, extRetryAfter: 4, extCredit: 4,
	extInstance: 8, extPart: 4, extIntervals: 16, extLimits: 12}

// parseBody takes the frames behind the header: a list, the user's, or none.
func parseBody(d Direction, body [][]byte, m *Message) *Error {
	switch m.Command {
	case Request, Reply:
		m.Body = body
		return nil
	case Ready, Heartbeat, Disconnect, Ack:
		if len(body) > 1 {
			return fail(ErrFraming, 2, 0, "more than one list frame")
		}
		if len(body) == 0 {
			return nil
		}
		if d == BackIn {
			return parseEntries(body[0], m)
		}
		return parseAcks(body[0], m)
	}
	if len(body) > 0 {
		return fail(ErrFraming, 1, 0, m.Command.String()+" has no body")
	}
	return nil
}

// validate checks what the command needs beyond its form.
func validate(d Direction, m *Message) *Error {
	switch m.Command {
	case Request, Reply, Cancel, Accepted, Progress, Credit:
		if m.ID.IsZero() {
			return fail(ErrField, 0, 8, "request id is all zero")
		}
		if m.Number == 0 {
			return fail(ErrField, 0, 24, "try or attempt is 0; they count from 1")
		}
	}
	if !d.front() {
		if m.Link == 0 {
			return fail(ErrField, 0, 44, "link is 0; links count from 1")
		}
		// DISCONNECT stands outside the count: it may answer a peer whose
		// link is not known.
		if m.Seq == 0 && m.Command != Disconnect {
			return fail(ErrField, 0, 48, "seq is 0; messages count from 1")
		}
	}
	switch {
	case d == FrontIn && m.Command == Request && m.Code > PriorityLow:
		return fail(ErrField, 0, 5, "unknown priority")
	case d == FrontOut && m.Command == Reply && !m.Code.Outcome():
		return fail(ErrField, 0, 5, m.Code.String()+" is no outcome for a client")
	case d == FrontOut && m.Command == Reply && m.Flags.Certainty() == CertaintyNone:
		return fail(ErrField, 0, 6, "a REPLY to a client must carry a certainty")
	case d == BackIn && m.Command == Reply && !m.Code.fromWorker():
		return fail(ErrField, 0, 5, m.Code.String()+" is no code for a worker's REPLY")
	case m.Command == Ready && m.Instance == 0:
		return fail(ErrField, 0, HeaderBytesMin, "READY without an instance")
	case (m.Command == Ready || m.Command == Heartbeat) && m.Credit > CreditMax:
		return fail(ErrLimit, 0, HeaderBytesMin, "credit over 4096")
	case m.Command == Welcome && (m.Intervals == nil || m.Limits == nil):
		return fail(ErrField, 0, HeaderBytesMin, "WELCOME without intervals or limits")
	}
	return nil
}
