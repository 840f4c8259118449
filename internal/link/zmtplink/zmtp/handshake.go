package zmtp

import (
	"encoding/binary"
	"fmt"
)

const (
	signatureBytes = 10
	greetingBytes  = 64 // of ZMTP 3
	greeting2Bytes = 12 // of ZMTP 2, without the identity that follows
	majorOffset    = 10
	mechanismBytes = 20
	revision2      = 1 // what peers of ZMTP 2.0 have in the place of the major version
)

// A Config is one side of a handshake.
type Config struct {
	Type      SocketType
	Identity  []byte // routing id; not on a Router
	Connects  bool   // this side connected: it sends first, and all at once
	Mechanism Mechanism
}

// A Handshake is greeting and mechanism: from the first byte until both sides
// know each other. The binding side serves peers of ZMTP 2.0 as well.
type Handshake struct {
	config   Config
	stage    stage
	in       []byte // received and not used yet
	at       int64  // offset of in in all that was received
	out      []byte
	commands int
	ready    bool // READY was sent before the peer's came
	peer     Peer
}

// A Peer is what a handshake finds out.
type Peer struct {
	Revision  Revision
	Type      SocketType
	Identity  []byte // empty: none
	Mechanism string
}

type stage uint8

const (
	stageSignature stage = iota
	stageGreeting2
	stageIdentity2
	stageGreeting3
	stageCommands
	stageDone
)

// NewHandshake returns a handshake whose Output has what is to be sent first.
func NewHandshake(c Config) *Handshake {
	h := &Handshake{config: c}
	h.out = append(h.out, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3)
	if c.Connects {
		// A peer of ZMTP 2.0 could not read this, but none of them binds.
		h.appendGreeting3()
		h.out = c.Mechanism.Start(h.out, h.metadata(c.Type))
	}
	return h
}

// appendGreeting3 appends the rest of the greeting, from the minor version on.
func (h *Handshake) appendGreeting3() {
	h.out = append(h.out, 1)
	var rest [greetingBytes - majorOffset - 2]byte
	copy(rest[:mechanismBytes], h.config.Mechanism.Name())
	if h.config.Mechanism.Server() {
		rest[mechanismBytes] = 1
	}
	h.out = append(h.out, rest[:]...)
}

func (h *Handshake) metadata(as SocketType) []byte {
	m := appendProperty(nil, propertySocketType, []byte(as.String()))
	return appendProperty(m, propertyIdentity, h.config.Identity)
}

// Output returns what is to be sent, once.
func (h *Handshake) Output() []byte {
	out := h.out
	h.out = nil
	return out
}

// Hurry appends this side's READY for a peer that waits for it before it sends its
// own, as RFC 23 allows; most do not. It reports false where the peer has to be
// first: it connects, it has not sent its greeting, or the mechanism has an order.
func (h *Handshake) Hurry() bool {
	if h.config.Connects || h.stage != stageCommands || h.commands > 0 || h.ready || h.config.Mechanism.Name() != nullName {
		return false
	}
	h.ready = true
	h.out = h.config.Mechanism.Ready(h.out, h.metadata(h.config.Type))
	return true
}

// Done reports that the handshake is over and the peer known.
func (h *Handshake) Done() bool { return h.stage == stageDone }

// Peer is what is known after Done. Its identity is not changed any more.
func (h *Handshake) Peer() Peer { return h.peer }

// Feed takes received bytes. Once the handshake is done, rest is what belongs
// to the Reader. After an error, what Output returns still tells the peer why.
func (h *Handshake) Feed(p []byte) (rest []byte, err error) {
	h.in = append(h.in, p...)
	for h.stage != stageDone {
		used, err := h.step()
		if err != nil {
			return nil, err
		}
		if used == 0 {
			return nil, nil
		}
		h.in, h.at = h.in[used:], h.at+int64(used)
	}
	rest, h.in = h.in, nil
	return rest, nil
}

func (h *Handshake) fail(kind ErrorKind, offset int, format string, args ...any) error {
	return &Error{Kind: kind, At: h.at + int64(offset), What: fmt.Sprintf(format, args...)}
}

// step does one stage with what is there, and returns how many bytes it took:
// none when more are needed.
func (h *Handshake) step() (used int, err error) {
	switch h.stage {
	case stageSignature:
		return h.signature()
	case stageGreeting2:
		return h.greeting2()
	case stageIdentity2:
		return h.identity2()
	case stageGreeting3:
		return h.greeting3()
	default:
		return h.command()
	}
}

// signature looks at the first eleven bytes: is this ZMTP, and which revision.
// They stay where they are: greetings are read as a whole.
func (h *Handshake) signature() (int, error) {
	b := h.in
	switch {
	case len(b) >= 2 && b[0] != 0xff && b[0] > 0 && b[1]&^1 == 0:
		return 0, h.fail(Malformed, 0, "a greeting of ZMTP 1.0, as libzmq 2 sends it: at least ZMTP 2.0 is needed (libzmq 3.2)")
	case len(b) >= 1 && b[0] != 0xff && (len(b) >= 2 || b[0] == 0):
		return 0, h.fail(Malformed, 0, "no greeting of ZMTP: it begins with %q", b[:min(len(b), 8)])
	case len(b) >= signatureBytes && b[signatureBytes-1]&1 == 0:
		return 0, h.fail(Malformed, signatureBytes-1, "a greeting of ZMTP 1.0, as libzmq 2 sends it: at least ZMTP 2.0 is needed (libzmq 3.2)")
	case len(b) <= majorOffset:
		return 0, nil
	}
	switch major := b[majorOffset]; {
	case major >= 3:
		h.stage = stageGreeting3
	case major == revision2 && !h.config.Connects:
		h.stage = stageGreeting2
	case major == revision2:
		return 0, h.fail(Malformed, majorOffset, "the peer speaks ZMTP 2.0, and only those that connect may: it needs libzmq 4")
	default:
		return 0, h.fail(Malformed, majorOffset, "ZMTP revision %d is not spoken", major)
	}
	return h.step()
}

// greeting2 is the socket type of a peer of ZMTP 2.0.
func (h *Handshake) greeting2() (int, error) {
	if len(h.in) < greeting2Bytes {
		return 0, nil
	}
	if h.config.Mechanism.Name() != nullName {
		return 0, h.fail(Refused, majorOffset, "the peer speaks ZMTP 2.0, which knows no keys: %s is needed", h.config.Mechanism.Name())
	}
	h.peer.Revision, h.peer.Mechanism, h.peer.Type = Revision{2, 0}, nullName, SocketType(h.in[greeting2Bytes-1])
	if !talks(h.config.Type, h.peer.Type) {
		return 0, h.fail(Refused, greeting2Bytes-1, "a %s cannot talk to a %s", h.peer.Type, h.config.Type)
	}
	h.out = append(h.out, byte(shown(h.config.Type, h.peer.Type)))
	h.out = AppendHeader(h.out, Last, len(h.config.Identity))
	h.out = append(h.out, h.config.Identity...)
	h.stage = stageIdentity2
	return greeting2Bytes, nil
}

// identity2 is the first frame of a peer of ZMTP 2.0.
func (h *Handshake) identity2() (int, error) {
	b := h.in
	switch {
	case len(b) >= 1 && b[0] != 0:
		return 0, h.fail(Malformed, 0, "flags %#02x of the frame with the routing id: 0 is expected", b[0])
	case len(b) < 2 || len(b) < 2+int(b[1]):
		return 0, nil
	}
	used := 2 + int(b[1])
	return used, h.finish(2, b[2:used])
}

func (h *Handshake) greeting3() (int, error) {
	if len(h.in) < greetingBytes {
		return 0, nil
	}
	name := h.in[majorOffset+2:][:mechanismBytes]
	for len(name) > 0 && name[len(name)-1] == 0 {
		name = name[:len(name)-1]
	}
	h.peer.Revision, h.peer.Mechanism = Revision{3, min(h.in[majorOffset+1], 1)}, string(name)
	if h.in[majorOffset] > 3 {
		h.peer.Revision.Minor = 1
	}
	if !h.config.Connects {
		h.appendGreeting3()
	}
	if ours := h.config.Mechanism.Name(); h.peer.Mechanism != ours {
		return 0, h.fail(Refused, majorOffset+2, "the peer's mechanism is %q, and this side's %s", name, ours)
	}
	h.stage = stageCommands
	return greetingBytes, nil
}

// command is one command of the mechanism.
func (h *Handshake) command() (int, error) {
	b := h.in
	if len(b) == 0 {
		return 0, nil
	}
	if b[0]&^flagLong != flagCommand {
		return 0, h.fail(Malformed, 0, "flags %#02x where a command of the handshake is expected", b[0])
	}
	head, size := 2, uint64(0)
	if b[0]&flagLong != 0 {
		head = HeaderBytesMax
	}
	if len(b) < head {
		return 0, nil
	}
	if head == 2 {
		size = uint64(b[1])
	} else {
		size = binary.BigEndian.Uint64(b[1:])
	}
	if size > commandBytesMax {
		return 0, h.fail(Malformed, 0, "a command of %d bytes: at most %d are allowed", size, commandBytesMax)
	}
	used := head + int(size)
	if len(b) < used {
		return 0, nil
	}
	if h.commands++; h.commands > handshakeCommands {
		return 0, h.fail(Malformed, 0, "more than %d commands in a handshake", handshakeCommands)
	}
	return used, h.receive(head, b[head:used])
}

func (h *Handshake) receive(offset int, body []byte) error {
	name, data, ok := splitCommand(body)
	if !ok {
		return h.fail(Malformed, offset, "a command without a name")
	}
	if name == "ERROR" {
		return h.fail(PeerRefused, offset, "the peer refuses: %s", errorReason(data))
	}
	out, metadata, done, err := h.config.Mechanism.Receive(h.out, name, data)
	h.out = out
	if err != nil {
		return h.refuse(Malformed, offset, err.Error())
	}
	if !done {
		return nil
	}
	typeName, identity, err := readMetadata(metadata)
	if err != nil {
		return h.refuse(Malformed, offset, err.Error())
	}
	known := false
	if h.peer.Type, known = typeNamed(typeName); !known || !talks(h.config.Type, h.peer.Type) {
		return h.refuse(Refused, offset, fmt.Sprintf("a %.20q cannot talk to a %s", typeName, h.config.Type))
	}
	return h.finish(offset, identity)
}

// finish ends the handshake, unless the routing id cannot be used. One that
// begins with a zero byte could be taken for one that a Router has made.
func (h *Handshake) finish(offset int, identity []byte) error {
	if h.config.Type == Router {
		switch {
		case len(identity) > identityBytesMax:
			return h.refuse(Refused, offset, fmt.Sprintf("a routing id of %d bytes: at most %d are allowed", len(identity), identityBytesMax))
		case len(identity) > 0 && identity[0] == 0:
			return h.refuse(Refused, offset, "a routing id that begins with a zero byte: choose another")
		}
		h.peer.Identity = append([]byte(nil), identity...)
	}
	if !h.config.Connects && h.peer.Revision.Major >= 3 && !h.ready {
		h.out = h.config.Mechanism.Ready(h.out, h.metadata(shown(h.config.Type, h.peer.Type)))
	}
	h.stage = stageDone
	return nil
}

// refuse is fail, and tells the peer the reason.
func (h *Handshake) refuse(kind ErrorKind, offset int, what string) error {
	if h.peer.Revision.Major >= 3 {
		reason := what[:min(len(what), 255)]
		h.out = AppendCommand(h.out, "ERROR", []byte{byte(len(reason))}, []byte(reason))
	}
	return h.fail(kind, offset, "%s", what)
}
