// Package link is the seam between the loops and the wire: a few sockets that
// one goroutine owns, and a way to wait for all of them at once.
//
// There are three implementations: zmtplink, which speaks ZeroMQ's protocol in
// Go, and zmqlink, over libzmq, for tcp:// and ipc:// endpoints, and Memory, in
// this package, for mem:// ones.
package link

import (
	"errors"
	"os"
	"time"
)

// A Host owns the links of one loop. Every method but Wake must be called by
// one goroutine only, the one that owns the host.
type Host interface {
	// Open makes a link. The error names the endpoint, what is wrong with it
	// and what to do: "bind tcp://127.0.0.1:5555: address already in use …".
	Open(Options) (Link, error)
	// Wait blocks until a link may have something to read, Wake was called,
	// or d has passed; it may return early. d <= 0 does not block. An owner
	// who does not come back keeps its links from reading, and from sending
	// what waits for room: they may do both in here alone.
	Wait(d time.Duration) error
	// Wake ends the running Wait, or the next one. Safe for any goroutine, at
	// any time, also after Close; it never blocks.
	Wake()
	// Recycle gives back frames of LentMax bytes or more that Recv has returned
	// and nobody uses any more: they are written over by a later Recv.
	Recycle(frames [][]byte)
	// Close closes every open link, then the host. It does not block longer
	// than the longest Linger among its links.
	Close() error
}

// A Link is one socket.
type Link interface {
	// Recv appends what waits to be read, at most limit messages, to dst. It
	// never blocks. The caller owns the frames, but for Options.Lend. Fewer
	// than limit messages means that the link was found empty; the caller who
	// got limit messages must come back before it waits.
	Recv(dst []Message, limit int) ([]Message, error)
	// Send queues one message. It never blocks and copies what it keeps.
	// peer is the routing id to send to on a Router and nil otherwise.
	// Errors: ErrUnreachable, ErrFull. A nil error means "in a local queue",
	// no more: only an answer proves delivery.
	Send(peer []byte, frames ...[]byte) error
	// Put notes one message for the next Flush, which costs less than a Send
	// for each. It copies what it keeps; it may send at once.
	Put(peer []byte, frames ...[]byte)
	// Flush sends what was Put, in order. It calls failed, if that is not nil,
	// for each message that could not be sent, with its number among those
	// Put since the last Flush, from 0, and the error that Send would return. What
	// is reported did not arrive; what is not may be lost all the same.
	// A Dealer or Req does not send what was Put behind such a message: it
	// fails with the same error.
	Flush(failed func(number int, err error))
	// Addr is the endpoint bound last, with the port filled in, or the one
	// connected to.
	Addr() string
	// Close closes the link; what is unsent is kept for Linger.
	Close() error
}

// A Queuer is a Link that knows at once whether it takes a message. What was
// queued goes out with the next Flush, Put or Send of the same peer.
type Queuer interface {
	Link
	// Queue is Send, but for the sending.
	Queue(peer []byte, frames ...[]byte) error
}

var (
	// ErrUnreachable: the peer is not connected (any more).
	ErrUnreachable = errors.New("peer not connected")
	// ErrFull: the peer's queue is full; it does not read fast enough.
	ErrFull = errors.New("peer's queue is full")
	// ErrClosed: the link or its host is closed.
	ErrClosed = errors.New("link closed")
)

// LentMax: see Options.Lend.
const LentMax = 4096

// A Kind says what a Message is.
type Kind uint8

// The kinds of Message. All but Data come only with Options.Monitor and carry no
// frames. Where they name no peer they are hints ("look now"), never verdicts.
// On a Router of zmtplink they name it: a Disconnected with a Peer says that no
// connection with that routing id is left, and comes behind all that it sent.
const (
	Data         Kind = iota
	Connected         // a connection is up, its handshake done
	Disconnected      // an established connection ended
)

// A Message is one thing read from a link.
type Message struct {
	Kind   Kind
	Peer   []byte   // sender's routing id on a Router; nil otherwise, and with a hint
	Frames [][]byte // without the routing id; a Req link strips its delimiter
	Socket string   // with a Connected of zmtplink: what the peer says that it is, as REQ; otherwise empty
}

// A Role is what kind of socket a link is.
type Role uint8

// The roles.
const (
	Router Role = iota // binds; talks to many peers, each by its routing id
	Dealer             // connects; sends and receives freely
	Req                // connects; strictly one Send, then one Recv
)

// Options describe a link. Zero values mean: 1000 messages for SendMax and
// RecvMax, 100 ms for ReconnectMin, waits that do not double, what is said at
// each of the bounds that only zmtplink has, and otherwise no bound, no linger,
// no monitor.
type Options struct {
	Role      Role
	Endpoints []string // all are bound (Router), or the one is connected to
	Identity  []byte   // routing id, for Dealer and Req: 16 random bytes
	Handover  bool     // Router: a reconnecting peer with a known id takes over
	// IPCMode is what the files of a Router's ipc:// endpoints may be used by, as
	// 0o660: who may write may connect. 0: what the umask leaves. With libzmq it is
	// set after the file is there.
	IPCMode os.FileMode

	SendMax        int           // messages waiting to be sent, per peer
	RecvMax        int           // messages waiting to be read, per peer
	FrameBytesMax  int64         // a peer that sends a larger frame is cut off; a Dealer or Req then stays so
	ReconnectMin   time.Duration // first wait before connecting again
	ReconnectMax   time.Duration // waits double up to this
	ConnectTimeout time.Duration // one attempt to connect
	Linger         time.Duration // how long Close lets unsent messages go out
	Monitor        bool          // report Connected and Disconnected
	// Lend: what Recv returns is valid until the link's next Recv only, but for
	// the bytes of frames of LentMax bytes or more, which are the caller's. In
	// return Send and Put borrow such frames: they must not change until they
	// are given to Host.Recycle, or for ever.
	Lend bool

	// What libzmq cannot bound, and so zmqlink and the memory link take no
	// notice of, but for what is said.

	// PeerBytesMax is what may wait on one connection, one way, 16 MiB, or the
	// largest message where that is more, and one message besides. A peer that
	// sends more is read later, for one that reads too little Send fails with
	// ErrFull. A message that is not whole yet and longer than that, or than
	// FrameBytesMax and 64 KiB, ends its connection.
	PeerBytesMax int64
	// LinkBytesMax is what may wait on all connections together: 128 MiB, a
	// half for each way. What arrives is then read later, but for messages that
	// are not whole: if they take half of theirs, the one that began first ends
	// its connection. If too much is to be sent by a Router, and more than one
	// message of FrameBytesMax, the connections on which most of it waits are ended.
	LinkBytesMax int64
	// FramesMax is how many frames a message may have: 1088. More end the connection
	// while they are read; zmqlink passes that many and one of them on.
	FramesMax int
	// HandshakesMax is how many connections may be without a handshake yet, or
	// wait for a routing id that is taken: 1024. With more, the one that came
	// first ends.
	HandshakesMax int
}
