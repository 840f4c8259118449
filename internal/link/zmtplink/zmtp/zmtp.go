// Package zmtp is ZeroMQ's wire protocol as a plain value: bytes go in, messages
// and bytes come out. It has no socket, goroutine, lock, clock or randomness.
//
// A connection is a Handshake first and a Reader after it; what is sent is
// encoded by AppendHeader. ZMTP 3.1 (RFC 37) and 3.0 (RFC 23) are spoken, and
// 2.0 (RFC 15) to peers that connect. Whatever a peer does wrong is an *Error.
package zmtp

import "fmt"

// An Error is a peer's violation of the protocol, or of a bound.
type Error struct {
	Kind ErrorKind
	At   int64 // offset in the bytes received, of the frame or part at fault
	What string
}

// Error says what is wrong and where.
func (e *Error) Error() string { return fmt.Sprintf("byte %d: %s", e.At, e.What) }

// An ErrorKind sorts violations for those who count them.
type ErrorKind uint8

// The kinds of Error.
const (
	Malformed      ErrorKind = iota // no ZMTP, or a revision that is not spoken
	FrameTooLarge                   // Limits.FrameBytesMax
	MessageTooLong                  // Limits.FramesMax or Limits.MessageBytesMax
	Refused                         // the peer and this side cannot talk: types, mechanism, routing id
	PeerRefused                     // the peer sent ERROR
)

// String names the kind, for counters.
func (k ErrorKind) String() string {
	switch k {
	case Malformed:
		return "malformed"
	case FrameTooLarge:
		return "frame-too-large"
	case MessageTooLong:
		return "message-too-long"
	case Refused:
		return "refused"
	case PeerRefused:
		return "refused-by-peer"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// A SocketType is what a peer says that it is.
type SocketType uint8

// The socket types, by their numbers in ZMTP 2.0.
const (
	Pair SocketType = iota
	Pub
	Sub
	Req
	Rep
	Dealer
	Router
	Pull
	Push
	typesKnown // their number
)

var typeNames = [typesKnown]string{"PAIR", "PUB", "SUB", "REQ", "REP", "DEALER", "ROUTER", "PULL", "PUSH"}

// String returns the type's name as it is on the wire.
func (t SocketType) String() string {
	if t < typesKnown {
		return typeNames[t]
	}
	return fmt.Sprintf("socket type %d", uint8(t))
}

// typeNamed finds a type by its name. Types of ZMTP 3.1 that talk to none of
// ours (CLIENT, RADIO, …) are not known.
func typeNamed(name string) (SocketType, bool) {
	for t, n := range typeNames {
		if n == name {
			return SocketType(t), true
		}
	}
	return 0, false
}

// talks reports whether sockets of the two types understand each other
// (RFC 28). A Router serves a REP as well, to which it says that it is a
// DEALER: so programs with REP workers can join.
func talks(ours, peer SocketType) bool {
	switch ours {
	case Router:
		return peer == Req || peer == Dealer || peer == Router || peer == Rep
	case Dealer:
		return peer == Router || peer == Dealer || peer == Rep
	case Req:
		return peer == Router || peer == Rep
	case Rep:
		return peer == Dealer || peer == Req
	}
	return false
}

// shown is the type that a socket of type ours says that it has.
func shown(ours, peer SocketType) SocketType {
	if ours == Router && peer == Rep {
		return Dealer
	}
	return ours
}

// A Revision is a version of ZMTP.
type Revision struct{ Major, Minor uint8 }

// String writes it as in "3.1".
func (r Revision) String() string { return fmt.Sprintf("%d.%d", r.Major, r.Minor) }
