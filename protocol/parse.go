package protocol

import "encoding/binary"

// Parse reads the message in frames, which arrived in direction d, into m,
// overwriting all of it (m.Entries, m.Acks and m.Services keep their capacity).
// m aliases frames, and m.Body the slice itself. It never panics and allocates
// in proportion to its input only. The error is a *Error; m is then of no use,
// but for Command, Code, Flags, ID, Number, Epoch, Instance, Link, Seq and Ack, which
// are set as far as the header reaches, so that the sender can be answered and the
// attempt that a worker names can be ended. In a header of
// another version they are taken to be where version 1 has them.
func Parse(d Direction, frames [][]byte, m *Message) error {
	m.clear()
	if err := parse(d, frames, m); err != nil {
		return err
	}
	return nil
}

// clear makes m zero, but for the capacity of its lists.
func (m *Message) clear() {
	*m = Message{Entries: m.Entries[:0], Acks: m.Acks[:0], Services: m.Services[:0]}
}

func parse(d Direction, frames [][]byte, m *Message) *Error {
	if len(frames) == 0 {
		return fail(ErrFraming, 0, 0, "no header frame")
	}
	h := frames[0]
	if !Sniff(h) {
		return fail(ErrFraming, 0, 0, "not a PRV header")
	}
	readFixed(d, h, m)
	switch {
	case h[3] != magic[3]:
		return fail(ErrVersion, 0, 3, "protocol version "+string(rune(h[3]))+" is not spoken here; version 1 is")
	case len(h) < HeaderBytesMin:
		return fail(ErrTruncated, 0, len(h), "header shorter than 57 bytes")
	case len(h) > HeaderBytesMax:
		return fail(ErrLimit, 0, HeaderBytesMax, "header frame over 65536 bytes")
	case !Legal(d, m.Command):
		return fail(ErrCommand, 0, 4, m.Command.String()+" is not a command "+d.String())
	case len(frames)-1 > FramesMax:
		return fail(ErrLimit, FramesMax+1, 0, "more than 1024 body frames")
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
	if err := parseFields(d, h, end, m); err != nil {
		return err
	}
	if err := validate(d, m); err != nil {
		return err
	}
	return parseBody(d, frames[1:len(frames):len(frames)], m)
}

// readFixed reads the fixed part, as far as it is there.
func readFixed(d Direction, h []byte, m *Message) {
	be := binary.BigEndian
	m.Command = Command(h[4])
	if len(h) >= 24 {
		copy(m.ID[:], h[8:24])
	}
	if len(h) >= 28 {
		m.Number = be.Uint32(h[24:])
	}
	if len(h) < HeaderBytesMin {
		return
	}
	m.Code = Code(h[5])
	m.Flags = Flags(be.Uint16(h[6:]))
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
}

// parseBody takes the frames behind the header: a list, the user's, or none.
func parseBody(d Direction, body [][]byte, m *Message) *Error {
	switch m.Command {
	case Request, Reply:
		if len(body) > 0 {
			m.Body = body
		}
		return nil
	case Ready, Heartbeat, Disconnect, Ack:
		if m.Command == Disconnect && d == BackOut {
			break
		}
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
		return fail(ErrFraming, 1, 0, m.Command.String()+" has no body "+d.String())
	}
	return nil
}
