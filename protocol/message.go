package protocol

import (
	"encoding/binary"
	"unicode"
	"unicode/utf8"
)

// A Message is one PRV1 message, parsed. Fields of the fixed header that its
// command does not use hold whatever the peer wrote and mean nothing; those
// further down are zero where the command does not have them. Byte slices
// alias the frames it was parsed from.
type Message struct {
	Command Command
	Code    Code
	Flags   Flags
	ID      ID
	Number  uint32 // the try on the front, the attempt on the back
	Epoch   uint64

	RemainingMS uint32 // left of the deadline; 0 in a REQUEST is "already over"
	SentMS      uint32 // sender's monotonic clock, wrapping

	Link, Seq, Ack uint32 // back only

	Instance   uint64 // front: the client's; READY: the worker's
	InterestMS uint32 // client's REQUEST: how long it waits for this try; 0 = until the deadline

	Service []byte // service name

	// Hop-by-hop extension fields; 0 or nil when absent.
	LeaseMS      uint32      // broker's REQUEST: time allowed without progress
	Digest       uint64      // broker's REQUEST: digest of its content
	Attempt      uint32      // broker's REPLY: the attempt that answered
	RetryAfterMS uint32      // broker's REPLY OVERLOADED
	Credit       uint32      // READY, HEARTBEAT: requests this worker is ready to hold
	Part         uint32      // READY: number of this part, from 0
	Services     [][]byte    // READY: service names
	Intervals    *Intervals  // WELCOME; PONG, may be nil
	Limits       *Limits     // WELCOME, PONG
	Stream       Stream      // of a reply in parts: REQUEST, REPLY, CREDIT
	WaitedMS     uint32      // broker's REQUEST: time in the queue before this attempt
	Served       *Served     // ACCEPTED: who serves what was asked for; nil where it is not said
	Info         *WorkerInfo // READY: what a worker says of itself; nil where it says nothing
	RememberMax  uint32      // WELCOME: finished requests that the broker takes from one worker; 0 where it is not said

	// Meta are the end-to-end fields: user headers, trace context, error text.
	// The broker hands them on untouched.
	Meta Meta

	Entries []Entry // READY, HEARTBEAT, DISCONNECT from a worker: what it holds
	Acks    []Acked // ACK, HEARTBEAT from the broker: replies it has taken

	Body [][]byte // REQUEST, REPLY: the user's frames
}

// Intervals are what a broker tells its workers to live by.
type Intervals struct {
	HeartbeatMS    uint32 // time between heartbeats, both ways
	Liveness       uint32 // heartbeats of silence after which a peer is lost
	ReconnectMaxMS uint32 // longest wait before a worker connects again
	RetentionMS    uint32 // how long a worker keeps bodies of acknowledged replies
}

// Limits are what a broker accepts.
type Limits struct {
	MessageBytesMax uint64 // all body frames of one message together
	FramesMax       uint32 // body frames of one message
}

// Served tells a client who serves what it has asked for.
type Served struct {
	Workers uint32 // live workers of the service
	Nearest []byte // where there are none: the served name that is most like it; nil where none is
}

// A WorkerInfo is what a worker says of itself, for people alone: no peer decides
// anything by it.
type WorkerInfo struct {
	Label   string // what its people call it
	Host    string // name of its machine
	Process uint32 // number of its process
	Version string // of its program
}

// A Stream places a message in a reply that comes in parts.
type Stream struct {
	Run   uint64 // names one run of a handler; 0 in a REQUEST, and in a CREDIT of whom nothing has reached
	Part  uint32 // REPLY with Partial: its number, from 1; other REPLY: parts before it; CREDIT: parts that have come
	Grant uint32 // REQUEST: parts that a run may send at first; CREDIT: ... in all, so far
}

const magic = "PRV1"

// Sniff reports whether frame is meant as a PRV header of any version: "PRV",
// a digit, and a byte below 32, the command. Of texts only one that has a
// control character there (a line break) looks like it.
func Sniff(frame []byte) bool {
	return len(frame) >= 5 && frame[0] == 'P' && frame[1] == 'R' && frame[2] == 'V' &&
		frame[3] >= '0' && frame[3] <= '9' && frame[4] < 32
}

// AppendHeader appends m's header frame to dst and returns it. It allocates
// only to grow dst. It does not validate: what is not valid is refused by the
// peer's Parse. d decides the layout of the 12 side bytes. A service name over
// 255 bytes, which has no encoding, becomes one that every peer refuses.
func AppendHeader(dst []byte, d Direction, m *Message) []byte {
	be := binary.BigEndian
	dst = append(dst, magic...)
	dst = append(dst, byte(m.Command), byte(m.Code))
	dst = be.AppendUint16(dst, uint16(m.Flags))
	dst = append(dst, m.ID[:]...)
	dst = be.AppendUint32(dst, m.Number)
	dst = be.AppendUint64(dst, m.Epoch)
	dst = be.AppendUint32(dst, m.RemainingMS)
	dst = be.AppendUint32(dst, m.SentMS)
	if d.front() {
		dst = be.AppendUint64(dst, m.Instance)
		dst = be.AppendUint32(dst, m.InterestMS)
	} else {
		dst = be.AppendUint32(dst, m.Link)
		dst = be.AppendUint32(dst, m.Seq)
		dst = be.AppendUint32(dst, m.Ack)
	}
	service := encodable(m.Service)
	dst = append(dst, byte(len(service)))
	dst = append(dst, service...)
	dst = appendU32(dst, extLease, m.LeaseMS)
	dst = appendU64(dst, extDigest, m.Digest)
	dst = appendU32(dst, extAttempt, m.Attempt)
	dst = appendU32(dst, extRetryAfter, m.RetryAfterMS)
	dst = appendU32(dst, extCredit, m.Credit)
	if !d.front() {
		dst = appendU64(dst, extInstance, m.Instance)
	}
	dst = appendU32(dst, extPart, m.Part)
	for _, s := range m.Services {
		s = encodable(s)
		dst = append(appendField(dst, extService, len(s)), s...)
	}
	if v := m.Intervals; v != nil {
		dst = appendField(dst, extIntervals, 16)
		dst = be.AppendUint32(be.AppendUint32(dst, v.HeartbeatMS), v.Liveness)
		dst = be.AppendUint32(be.AppendUint32(dst, v.ReconnectMaxMS), v.RetentionMS)
	}
	if v := m.Limits; v != nil {
		dst = appendField(dst, extLimits, 12)
		dst = be.AppendUint32(be.AppendUint64(dst, v.MessageBytesMax), v.FramesMax)
	}
	if v := m.Stream; v != (Stream{}) {
		dst = be.AppendUint64(appendField(dst, extStream, 16), v.Run)
		dst = be.AppendUint32(be.AppendUint32(dst, v.Part), v.Grant)
	}
	dst = appendU32(dst, extWaited, m.WaitedMS)
	if v := m.Served; v != nil {
		nearest := encodable(v.Nearest)
		dst = be.AppendUint32(appendField(dst, extServed, 4+len(nearest)), v.Workers)
		dst = append(dst, nearest...)
	}
	if v := m.Info; v != nil {
		dst = appendText(dst, extLabel, v.Label)
		dst = appendText(dst, extHost, v.Host)
		dst = appendU32(dst, extProcess, v.Process)
		dst = appendText(dst, extVersion, v.Version)
	}
	dst = appendU32(dst, extRemember, m.RememberMax)
	return append(dst, m.Meta...)
}

// AppendFrames appends the whole message to frames: the header, encoded into
// buf's spare capacity where it fits, then the list or body frames. It returns
// the frames and the buffer, for reuse once the frames have been sent. The frames
// alias buf and m.Body. Like AppendHeader it does not validate.
func AppendFrames(frames [][]byte, buf []byte, d Direction, m *Message) ([][]byte, []byte) {
	start := len(buf)
	buf = AppendHeader(buf, d, m)
	end := len(buf)
	switch {
	case len(m.Entries) > 0:
		buf = AppendEntries(buf, m.Entries)
	case len(m.Acks) > 0:
		buf = AppendAcks(buf, m.Acks)
	}
	frames = append(frames, buf[start:end:end])
	if len(buf) > end {
		frames = append(frames, buf[end:len(buf):len(buf)])
	}
	return append(frames, m.Body...), buf
}

// refusedName stands for a name that is too long: cut or wrapped, its rest
// would be read as something else.
var refusedName = []byte{0}

func encodable(name []byte) []byte {
	if len(name) > ServiceBytesMax {
		return refusedName
	}
	return name
}

func appendField(dst []byte, typ byte, n int) []byte {
	return append(dst, typ, byte(n>>8), byte(n))
}

// appendText appends what people read, cut to its bound between two characters.
func appendText(dst []byte, typ byte, text string) []byte {
	if text == "" {
		return dst
	}
	text = cut(text, TextBytesMax)
	return append(appendField(dst, typ, len(text)), text...)
}

func appendU32(dst []byte, typ byte, v uint32) []byte {
	if v == 0 {
		return dst
	}
	return binary.BigEndian.AppendUint32(appendField(dst, typ, 4), v)
}

func appendU64(dst []byte, typ byte, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return binary.BigEndian.AppendUint64(appendField(dst, typ, 8), v)
}

// TextBytesMax bounds a worker's label, host and version.
const TextBytesMax = 255

// ValidText says why text cannot be a worker's label, host or version; "" if it can.
func ValidText(text string) string {
	return validText([]byte(text), TextBytesMax)
}

// ValidService says why name cannot be a service name; "" if it can.
func ValidService(name []byte) string {
	if why := validText(name, ServiceBytesMax); why != "" {
		return "service name " + why
	}
	return ""
}

func validText(text []byte, limit int) string {
	switch {
	case len(text) == 0:
		return "is empty"
	case len(text) > limit:
		return "is longer than 255 bytes"
	case !utf8.Valid(text):
		return "is not UTF-8"
	}
	for _, r := range string(text) {
		if unicode.IsControl(r) {
			return "has a control character"
		}
	}
	return ""
}
