package protocol

import "encoding/binary"

// The Paranoid Pirate Protocol, RFC 6: READY is one frame 0x01, HEARTBEAT one
// frame 0x02; a request or reply is [client address][empty][body …]. A PPP
// worker has no ids, no lists and a credit of 1. In several languages the guide's
// programs say the two as words, and know no other heartbeat.
const (
	pppReady         = "\x01"
	pppHeartbeat     = "\x02"
	pppReadyWord     = "READY"
	pppHeartbeatWord = "HEARTBEAT"
)

// The envelopes of workers that are not as RFC 6 has them. One that says words
// wants its heartbeat as a word. A Simple Pirate worker has a REQ socket, which
// sends an empty frame before all else and wants one: that is its envelope. The
// guide's rrworker has a REP socket. Neither takes a heartbeat or sends one.
var (
	inWords = [][]byte{[]byte(pppHeartbeatWord)}
	onREP   = [][]byte{[]byte("REP")}
)

// REPWorker is the origin of a worker that is a REP socket at the back port, and
// says nothing before it is asked. What it is asked and answers is as with PPP.
func REPWorker() Origin { return Origin{Dialect: PPP, Worker: true, Envelope: onREP} }

// Mute reports whether o is of a worker that has no heartbeats: a Simple Pirate
// worker, on a REQ socket, or a REP socket. Nothing but its replies and the end of
// its connection say how it is.
func (o *Origin) Mute() bool { return o.Dialect == PPP && o.Worker && muteEnvelope(o.Envelope) }

func muteEnvelope(e [][]byte) bool {
	return len(e) == 1 && (len(e[0]) == 0 || string(e[0]) == string(onREP[0]))
}

// The address that stands for a client towards a worker without PRV1: attempt,
// epoch, request id, as lower-case hexadecimal digits. The client's own routing
// id never leaves the broker, and a reply is matched to its exact attempt. Many
// programs keep addresses as C strings, in buffers of 256 bytes; some take 17
// bytes with a zero at the front, and 33 with an @, for libzmq's own ids.
const (
	tokenPlainBytes = 4 + 8 + 16
	tokenBytes      = 2 * tokenPlainBytes
)

// ParsePPP reads a message of a PPP worker into m as the PRV1 message that
// means the same: READY, HEARTBEAT or REPLY (OK). m.Body aliases frames. ok is
// false, and m zero, when it is none; it is never true of a PRV header.
func ParsePPP(frames [][]byte, m *Message) (ok bool) {
	_, ok = readPPP(frames, m)
	return ok
}

// readPPP is ParsePPP, and returns the envelope of an Origin: nil, or how this
// worker wants to hear what is not in every such worker's form.
func readPPP(frames [][]byte, m *Message) (envelope [][]byte, ok bool) {
	m.clear()
	if len(frames) == 0 || Sniff(frames[0]) {
		return nil, false
	}
	if len(frames) > 1 && len(frames[0]) == 0 {
		return frames[:1:1], readSimplePirate(frames[1:], m)
	}
	if len(frames) > 1 {
		return nil, parseReply(frames, m) == nil
	}
	switch string(frames[0]) {
	case pppReady:
		m.Command, m.Credit, m.Flags = Ready, 1, Last
	case pppHeartbeat:
		m.Command, m.Credit = Heartbeat, 1
	case pppReadyWord:
		m.Command, m.Credit, m.Flags, envelope = Ready, 1, Last, inWords
	case pppHeartbeatWord:
		m.Command, m.Credit, envelope = Heartbeat, 1, inWords
	default:
		return nil, false
	}
	return envelope, true
}

// readSimplePirate reads what a REQ socket's worker sends: READY once, then replies.
func readSimplePirate(frames [][]byte, m *Message) bool {
	if ready := string(frames[0]) == pppReady || string(frames[0]) == pppReadyWord; len(frames) > 1 || !ready {
		return parseReply(frames, m) == nil
	}
	m.Command, m.Credit, m.Flags = Ready, 1, Last
	return true
}

// parseReply reads [address][empty][body …] of a worker without PRV1. Some leave
// the empty frame out, those after the guide in PHP for one: the address, which
// can be nothing else, tells. But an address and nothing is no reply; it is what
// comes of a program that reads and sends back one frame.
func parseReply(frames [][]byte, m *Message) *Error {
	if len(frames) < 2 {
		return fail(ErrFraming, 0, 0, "a reply has the client's address, an empty frame and the body")
	}
	body := frames[1:len(frames):len(frames)]
	if len(body[0]) == 0 {
		body = body[1:]
	}
	switch {
	case len(body) > FramesMax:
		return fail(ErrLimit, len(frames)-len(body)+FramesMax, 0, "a reply of more than 1024 frames")
	case !parseToken(frames[0], m):
		return fail(ErrField, 0, 0, "this is no client's address that a worker was given here")
	}
	m.Command, m.Code, m.Body = Reply, OK, body
	return nil
}

// parseToken reads the address that stands for a client.
func parseToken(frame []byte, m *Message) bool {
	if len(frame) != tokenBytes {
		return false
	}
	var token [tokenPlainBytes]byte
	for i := range token {
		high, low := hexDigit(frame[2*i]), hexDigit(frame[2*i+1])
		if high > 15 || low > 15 {
			return false
		}
		token[i] = high<<4 | low
	}
	be := binary.BigEndian
	number, epoch, id := be.Uint32(token[:]), be.Uint64(token[4:]), ID(token[12:])
	if number == 0 || epoch == 0 || id.IsZero() {
		return false
	}
	m.ID, m.Number, m.Epoch = id, number, epoch
	return true
}

// hexDigit is the value of a lower-case hexadecimal digit; over 15: it is none.
func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 16
}

// appendToken appends the address that stands for m's client.
func appendToken(buf []byte, m *Message) []byte {
	const digits = "0123456789abcdef"
	var token [tokenPlainBytes]byte
	binary.BigEndian.PutUint32(token[:], m.Number)
	binary.BigEndian.PutUint64(token[4:], m.Epoch)
	copy(token[12:], m.ID[:])
	for _, b := range token {
		buf = append(buf, digits[b>>4], digits[b&15])
	}
	return buf
}

// AppendPPP appends the frames that tell m to a PPP worker: a REQUEST or a
// HEARTBEAT. Of the other commands PPP has none; nothing is appended then.
// The frames alias buf and m.Body.
func AppendPPP(frames [][]byte, buf []byte, m *Message) ([][]byte, []byte) {
	return appendPPP(frames, buf, nil, m)
}

// appendPPP is AppendPPP for a worker with that envelope.
func appendPPP(frames [][]byte, buf []byte, envelope [][]byte, m *Message) ([][]byte, []byte) {
	start := len(buf)
	switch {
	case m.Command == Request:
		if len(envelope) == 1 && len(envelope[0]) == 0 {
			frames = append(frames, envelope[0])
		}
		buf = appendToken(buf, m)
		frames = append(frames, buf[start:len(buf):len(buf)], nil)
		return append(frames, m.Body...), buf
	case m.Command == Heartbeat && muteEnvelope(envelope):
	case m.Command == Heartbeat && len(envelope) > 0:
		return append(frames, envelope...), buf
	case m.Command == Heartbeat:
		buf = append(buf, pppHeartbeat...)
		return append(frames, buf[start:len(buf):len(buf)]), buf
	}
	return frames, buf
}
