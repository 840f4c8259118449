package link

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"
)

// Defaults for fields of Options that are zero.
const (
	QueueMaxDefault     = 1000                   // SendMax and RecvMax, in messages
	ReconnectMinDefault = 100 * time.Millisecond // ReconnectMin

	PeerBytesMaxDefault  = 16 << 20
	LinkBytesMaxDefault  = 128 << 20
	FramesMaxDefault     = 1088 // the most of any dialect: 1024, and what comes before them
	HandshakesMaxDefault = 1024
)

// IdentityBytesMax is the length of the longest routing id (RFC 23).
const IdentityBytesMax = 255

// Identity makes a routing id of 16 random bytes. None begins with a zero byte:
// such are those that a Router makes (RFC 28).
func Identity(random func([]byte)) []byte {
	id := make([]byte, 16)
	for id[0] == 0 {
		random(id)
	}
	return id
}

var (
	// ErrAwaitingReply: Send on a Req link whose last request is unanswered.
	// Only a reply or a new link ends that state.
	ErrAwaitingReply = errors.New("the reply to the last request is still awaited: receive it, or close this link and open another")
	// ErrNoFrames: Send was called without any frame.
	ErrNoFrames = errors.New("a message needs at least one frame")
)

// String returns the role's name as ZeroMQ writes it.
func (r Role) String() string {
	switch r {
	case Router:
		return "ROUTER"
	case Dealer:
		return "DEALER"
	case Req:
		return "REQ"
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// Verb says what the role does with its endpoints: "bind" or "connect".
func (r Role) Verb() string {
	if r == Router {
		return "bind"
	}
	return "connect"
}

// Checked returns the options with defaults filled in, or an error naming the
// field that is out of bounds. Both implementations of Host start with it.
func (o Options) Checked() (Options, error) {
	switch {
	case o.Role > Req:
		return o, fmt.Errorf("open link: unknown Role %d: use Router, Dealer or Req", uint8(o.Role))
	case len(o.Endpoints) == 0:
		return o, fmt.Errorf("open %s link: Endpoints is empty: name an endpoint to %s", o.Role, o.Role.Verb())
	case o.Role != Router && len(o.Endpoints) != 1:
		return o, fmt.Errorf("open %s link: Endpoints has %d entries: a link connects to one; open a link for each", o.Role, len(o.Endpoints))
	case o.Role == Router && len(o.Identity) != 0:
		return o, errors.New("open ROUTER link: Identity must be empty: only Dealer and Req have one")
	case len(o.Identity) > IdentityBytesMax:
		return o, fmt.Errorf("open %s link: Identity has %d bytes: at most %d are allowed", o.Role, len(o.Identity), IdentityBytesMax)
	case o.IPCMode&^os.ModePerm != 0:
		return o, fmt.Errorf("open %s link: IPCMode is %v: only permissions can be set", o.Role, o.IPCMode)
	case o.SendMax < 0 || o.RecvMax < 0 || o.FrameBytesMax < 0:
		return o, fmt.Errorf("open %s link: SendMax, RecvMax and FrameBytesMax must not be negative", o.Role)
	case o.ReconnectMin < 0 || o.ReconnectMax < 0 || o.ConnectTimeout < 0 || o.Linger < 0:
		return o, fmt.Errorf("open %s link: ReconnectMin, ReconnectMax, ConnectTimeout and Linger must not be negative", o.Role)
	case o.PeerBytesMax < 0 || o.LinkBytesMax < 0 || o.FramesMax < 0 || o.HandshakesMax < 0:
		return o, fmt.Errorf("open %s link: PeerBytesMax, LinkBytesMax, FramesMax and HandshakesMax must not be negative", o.Role)
	}
	if o.SendMax == 0 {
		o.SendMax = QueueMaxDefault
	}
	if o.RecvMax == 0 {
		o.RecvMax = QueueMaxDefault
	}
	if o.ReconnectMin == 0 {
		o.ReconnectMin = ReconnectMinDefault
	}
	o.PeerBytesMax = cmp.Or(o.PeerBytesMax, PeerBytesMaxDefault)
	o.LinkBytesMax = cmp.Or(o.LinkBytesMax, LinkBytesMaxDefault)
	o.FramesMax = cmp.Or(o.FramesMax, FramesMaxDefault)
	o.HandshakesMax = cmp.Or(o.HandshakesMax, HandshakesMaxDefault)
	return o, nil
}
