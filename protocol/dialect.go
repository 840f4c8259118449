package protocol

import "strings"

// A Dialect is what a peer of a broker speaks.
type Dialect uint8

// The dialects. All but PRV1 are programs written after the ZeroMQ guide: they
// have no ids, no acknowledgements, and no errors.
const (
	PRV1  Dialect = iota // docs/protocol.md
	Plain                // a client without a header: plain REQ or DEALER
	PPP                  // a worker of the Paranoid Pirate Protocol, RFC 6
	MDP01                // clients and workers of the Majordomo Protocol 0.1, RFC 7
	MDP02                // clients and workers of the Majordomo Protocol 0.2, RFC 18
)

var dialectNames = [...]string{PRV1: "prv1", Plain: "plain", PPP: "ppp", MDP01: "mdp01", MDP02: "mdp02"}

func (d Dialect) String() string {
	if int(d) < len(dialectNames) {
		return dialectNames[d]
	}
	return "dialect(" + itoa(int(d)) + ")"
}

// Dialects is a set of them.
type Dialects uint8

// AllDialects has every dialect.
const AllDialects = Dialects(1<<len(dialectNames) - 1)

// Has reports whether x is in d.
func (d Dialects) Has(x Dialect) bool { return d&(1<<x) != 0 }

// mdp reports whether a header of MDP means anything.
func (d Dialects) mdp() bool { return d.Has(MDP01) || d.Has(MDP02) }

// DialectNames is the list of names that ParseDialects takes.
func DialectNames() []string { return append([]string(nil), dialectNames[:]...) }

// ParseDialects makes a set of names. unknown is the first that is none, "" if
// all are.
func ParseDialects(names []string) (set Dialects, unknown string) {
next:
	for _, name := range names {
		for d, known := range dialectNames {
			if strings.EqualFold(strings.TrimSpace(name), known) {
				set |= 1 << d
				continue next
			}
		}
		return 0, name
	}
	return set, ""
}

// A Port is one of a broker's two sockets.
type Port uint8

// The ports.
const (
	FrontPort Port = iota // for clients
	BackPort              // for workers
)

// An Origin says how a message came, and so how its sender is answered.
type Origin struct {
	Dialect Dialect
	Worker  bool // a worker's message; otherwise a client's
	// Envelope is what an answer begins with: everything of the message up to
	// its delimiter or, in MDP, up to the header and a client's service name.
	// It aliases the frames. Nil where the sender cannot be answered. Of a worker
	// of PPP it is nil, or says in what it differs from RFC 6.
	Envelope [][]byte
}

// Read reads whatever has arrived at a broker's port into m, as the PRV1
// message that means the same. speaks are the dialects it may be in; every
// message is of one dialect at most. A client that does not speak PRV1 names no
// id: m.ID is zero, and the caller's to choose.
//
// The error is a *Error; o is then set as far as it was recognised, and m as
// Parse leaves it. Read aliases frames and never panics.
func Read(at Port, frames [][]byte, speaks Dialects, m *Message) (o Origin, err error) {
	var refused *Error
	if o, refused = read(at, frames, speaks, m); refused != nil {
		return o, refused
	}
	return o, nil
}

func read(at Port, frames [][]byte, speaks Dialects, m *Message) (Origin, *Error) {
	m.clear()
	if len(frames) == 0 {
		return Origin{Dialect: Plain}, fail(ErrFraming, 0, 0, "no frames")
	}
	if at == BackPort {
		if speaks.Has(PRV1) && Sniff(frames[0]) {
			return Origin{Dialect: PRV1, Worker: true}, parse(BackIn, frames, m)
		}
		switch envelope, ok := readPPP(frames, m); {
		case ok && speaks.Has(PPP):
			return Origin{Dialect: PPP, Worker: true, Envelope: envelope}, nil
		case ok:
			m.clear()
			return Origin{Dialect: PPP, Worker: true}, fail(ErrVersion, 0, 0, "ppp is not served here")
		}
	}
	if speaks.mdp() && looksMDP(frames[0]) {
		return readMDP(frames, 0, speaks, m)
	}
	if service, ok := zprotoService(frames[0]); ok && speaks.Has(MDP02) {
		return readZproto(frames, service, m)
	}
	envelope, content, ok := SplitEnvelope(frames)
	switch {
	case !ok && at == FrontPort && isBare(frames, speaks):
		m.Command, m.Number, m.Body = Request, 1, frames
		return Origin{Dialect: Plain}, nil
	case !ok:
		return Origin{Dialect: Plain}, fail(ErrFraming, 0, 0, stranger(at, frames))
	}
	head := len(envelope) + 1
	o := Origin{Dialect: Plain, Envelope: frames[:head:head]}
	switch {
	case speaks.mdp() && looksMDP(content[0]):
		return readMDP(frames, head, speaks, m)
	case at == BackPort:
		return o, fail(ErrFraming, 0, 0, stranger(at, frames))
	case speaks.Has(PRV1) && Sniff(content[0]):
		o.Dialect = PRV1
		return o, parse(FrontIn, content, m)
	case !speaks.Has(Plain):
		return o, fail(ErrFraming, head, 0, "a request without a header, and plain clients are not served here")
	case len(content) > FramesMax:
		return o, fail(ErrLimit, head+FramesMax, 0, "a plain request of more than 1024 frames")
	}
	m.Command, m.Number, m.Body = Request, 1, content
	return o, nil
}

// Append appends the frames that tell m to a peer of which o says how it came,
// encoding into buf's spare capacity. It returns the frames and the buffer, for
// reuse once the frames have been sent. Where the peer's dialect has no such
// message nothing is appended. The frames alias buf, o.Envelope and m.Body.
func Append(frames [][]byte, buf []byte, o *Origin, m *Message) ([][]byte, []byte) {
	switch {
	case o.Dialect == PRV1 && o.Worker:
		return AppendFrames(frames, buf, BackOut, m)
	case o.Dialect == PRV1:
		return AppendFrames(append(frames, o.Envelope...), buf, FrontOut, m)
	case o.Dialect == PPP:
		return appendPPP(frames, buf, o.Envelope, m)
	case o.Worker:
		return appendMDPWorker(frames, buf, o, m)
	case m.Command != Reply:
		return frames, buf
	case o.Dialect == MDP02:
		return appendMDP02Reply(frames, buf, o, m)
	}
	if o.Envelope == nil && len(m.Body) == 0 { // there is no message without a frame
		return append(frames, nil), buf
	}
	return append(append(frames, o.Envelope...), m.Body...), buf
}

// ErrorBody is m, an outcome other than OK, for a client whose dialect has no
// errors, as one frame of text: "PRIVATEER-ERROR EXPIRED not-started: the
// deadline passed". Nothing keeps a worker's reply from looking so.
func ErrorBody(m *Message) []byte {
	b := append([]byte("PRIVATEER-ERROR "), m.Code.String()...)
	b = append(append(b, ' '), m.Flags.Certainty().String()...)
	if text := m.Meta.Get(MetaErrorText); text != "" {
		b = append(append(b, ": "...), text...)
	}
	return b
}
