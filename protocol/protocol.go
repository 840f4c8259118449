// Package protocol is PRV1, the framed protocol that clients, the broker and
// workers share. It is pure: no I/O, no clock, no state; every function is
// safe for concurrent use, and the package can be used alone.
//
// A message is one fixed binary header frame and then the body frames,
// untouched. docs/protocol.md is the normative text; the numbers here and
// there are held together by the golden vectors in testdata.
package protocol

import (
	"encoding/hex"
	"errors"
)

// Version is the protocol version that this package speaks.
const Version = 1

// Limits that hold for every message, whatever the configuration.
const (
	HeaderBytesMin  = 57         // the fixed part with an empty service name
	HeaderBytesMax  = 64 << 10   // the whole header frame
	ServiceBytesMax = 255        // a service name
	MetaBytesMax    = 8 << 10    // the end-to-end fields of one message
	FramesMax       = 1024       // body frames of one message
	EntriesMax      = 4096       // entries of one list; READY comes in parts
	CreditMax       = EntriesMax // requests one worker may hold
	ServicesMax     = 256        // services of one worker
	PartsMax        = 1024       // parts of one READY
	WindowMax       = 1024       // parts of a reply that may be on their way
	DurationMSMax   = 1<<32 - 2  // about 49 days; 1<<32 - 1 is never sent

	HeartbeatMSMax = 60_000  // of Intervals; the least is 1
	LivenessMax    = 100     // of Intervals; the least is 1
	ReconnectMSMax = 600_000 // of Intervals; the least is 1
)

// An ID names one request. The client chooses it (UUIDv7) and keeps it over
// all its tries. The zero ID is invalid.
type ID [16]byte

// ParseID reads the 36-character form with hyphens, as String writes it.
// The error says what is wrong with s; the zero ID is refused.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, errors.New("request id: want 36 characters like 0190b5a2-7c1e-7000-8000-0123456789ab")
	}
	hexa := s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36]
	if _, err := hex.Decode(id[:], []byte(hexa)); err != nil {
		return ID{}, errors.New("request id: not hexadecimal: " + s)
	}
	if id.IsZero() {
		return ID{}, errors.New("request id: all zero")
	}
	return id, nil
}

// String is the usual form of a UUID.
func (id ID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:36], id[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// IsZero reports whether id is the invalid, all-zero id.
func (id ID) IsZero() bool { return id == ID{} }

// A Command says what a message is for.
type Command uint8

// The commands. Which of them may arrive where is the closed table in table.go.
const (
	Ping       Command = 1  // client → broker: are you there, and who are you?
	Pong       Command = 2  // broker → client: epoch, version, limits
	Request    Command = 3  // client → broker → worker: do this
	Accepted   Command = 4  // broker → client that can take more: it is queued
	Reply      Command = 5  // worker → broker → client: an outcome
	Cancel     Command = 6  // client → broker → worker: no longer wanted
	Credit     Command = 7  // client → broker → worker: parts of a reply that have come, and may come
	Ready      Command = 8  // worker → broker: a new link; what I serve and hold
	Welcome    Command = 9  // broker → worker: your link stands; live by these intervals
	Heartbeat  Command = 10 // both ways on the back: I live; what I hold, what I took
	Progress   Command = 11 // worker → broker: this attempt has started, or gets on
	Ack        Command = 12 // broker → worker: these replies are taken
	Disconnect Command = 13 // both ways on the back: this link is over, and why
)

var commandNames = [...]string{
	Ping: "PING", Pong: "PONG", Request: "REQUEST", Accepted: "ACCEPTED", Reply: "REPLY",
	Cancel: "CANCEL", Credit: "CREDIT", Ready: "READY", Welcome: "WELCOME",
	Heartbeat: "HEARTBEAT", Progress: "PROGRESS", Ack: "ACK", Disconnect: "DISCONNECT",
}

func (c Command) String() string {
	if int(c) < len(commandNames) && commandNames[c] != "" {
		return commandNames[c]
	}
	return "COMMAND(" + itoa(int(c)) + ")"
}

// Flags qualify a message. A reader ignores flags it does not know.
type Flags uint16

// The flags, with the commands they belong to.
const (
	AtMostOnce   Flags = 1 << 0  // REQUEST: never start it a second time; also on list entries
	MaybeSent    Flags = 1 << 1  // client's REQUEST: this id may have left a client before; CREDIT: send again what has not come
	NoWait       Flags = 1 << 2  // client's REQUEST: NO_SERVICE if no live worker serves it
	CanTakeMore  Flags = 1 << 3  // client's REQUEST: ACCEPTED are welcome
	Finish       Flags = 1 << 4  // client's REQUEST: if interest ends while it runs, let it finish
	Retryable    Flags = 1 << 5  // broker's REPLY: worth asking again, under a new id
	Partial      Flags = 1 << 6  // REQUEST: the reply may come in parts; REPLY: this is one of them; entries: parts wait for the client
	MaybeRerun   Flags = 1 << 7  // broker's REQUEST: an earlier attempt may have run
	ReplayOnly   Flags = 1 << 8  // broker's REQUEST: send the kept reply, or GONE; never run it
	FromKept     Flags = 1 << 9  // worker's REPLY: this is a kept reply, nothing ran now
	CtxCancelled Flags = 1 << 10 // worker's REPLY, entries: the broker had cancelled this run
	Started      Flags = 1 << 11 // worker's REPLY HANDED_BACK: the handler had been started
	Last         Flags = 1 << 12 // READY: the last part
	Draining     Flags = 1 << 13 // READY, HEARTBEAT, PONG: finishing, nothing new is taken
	certaintyLow Flags = 1 << 14 // broker's REPLY: two bits of Certainty
)

// Has reports whether all of f's bits in g are set.
func (f Flags) Has(g Flags) bool { return f&g == g }

// With returns f with the bits of g set if on, cleared if not.
func (f Flags) With(g Flags, on bool) Flags {
	if on {
		return f | g
	}
	return f &^ g
}

// Certainty says whether a request may have run. It is in every outcome, so
// that a caller can decide from the outcome alone whether trying again under
// a new id can do the work twice.
type Certainty uint8

// The certainties.
const (
	CertaintyNone Certainty = 0 // not an outcome
	NotStarted    Certainty = 1 // no handler was started, none will be
	MaybeStarted  Certainty = 2 // nobody can tell
	Ran           Certainty = 3 // a handler was started, and ended
)

func (c Certainty) String() string {
	switch c {
	case NotStarted:
		return "not-started"
	case MaybeStarted:
		return "maybe-started"
	case Ran:
		return "ran"
	}
	return "none"
}

// Certainty returns the certainty that the flags of a REPLY carry.
func (f Flags) Certainty() Certainty { return Certainty(f >> 14) }

// WithCertainty returns f with the certainty set to c.
func (f Flags) WithCertainty(c Certainty) Flags {
	return f&^(3*certaintyLow) | Flags(c)<<14
}

func itoa(n int) string {
	var b [20]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return string(b[i:])
		}
	}
}
