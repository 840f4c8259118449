package zmtplink

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
)

// past is a deadline that ends what waits for a socket at once.
var past = time.Unix(1, 0)

var (
	errSlow       = errors.New("it reads too slowly: too much waits for all peers together, and most for it")
	errUnfinished = errors.New("its message is not whole, and messages that are not take too much together")
	errManyShakes = errors.New("too many handshakes are under way, and this one began first")
	errTaken      = errors.New("its routing id is that of another connection, which has not ended")
	errSilent     = errors.New("it has not answered, and another connection came with its routing id")
	errDisconnect = errors.New("it was disconnected")
)

// A conn is one connection. Its goroutine is the only one that reads from the
// socket and that closes it; ending it from elsewhere only tells that goroutine.
type conn struct {
	socket  *socket
	net     net.Conn // closed, if a poller has the connection
	raw     syscall.RawConn
	since   time.Time
	ending  chan struct{} // closed by end
	reason  atomic.Pointer[error]
	way     sync.Mutex // guards net, raw and polled.on, where they change
	polled  polled
	remote  net.Addr
	peer    zmtp.Peer
	id      []byte // Router: the peer's routing id
	held    atomic.Int64
	looks   atomic.Uint64 // for a sign of life
	looking atomic.Bool   // the poller was called for one more

	// The goroutine's alone.
	reader    *zmtp.Reader
	room      int // that was read into
	got       int
	readErr   error
	fullReads int  // in a row: more is likely there
	unweighed bool // since the last of those

	// Guarded by socket.mu.
	inbox      queue
	up         bool // handshake done
	over       bool // its goroutine is done with it
	muted      bool // another connection has its routing id: it is not heard
	listed     bool // in socket.ready
	paused     bool // its goroutine waits for room
	unfinished int64
	order      order // in socket.partial or socket.shaking
	messagesIn uint64
	bytesIn    uint64
	resume     chan struct{}
	asked      chan struct{} // closed when it is heard, or over; nil if nobody waits for that
	pinged     bool          // ... and PING was sent

	out   outgoing
	dirty bool  // the owner's: something was Put since the last Flush
	puts  []put // ... which messages
	drive driving
}

// A put is one message that was Put.
type put struct {
	number int    // since the last Flush
	place  uint64 // among all on its connection
}

func newConn(s *socket, nc net.Conn) (*conn, error) {
	c := &conn{socket: s, net: nc, remote: nc.RemoteAddr(), since: time.Now(), ending: make(chan struct{}), resume: make(chan struct{}, 1)}
	c.out.memory = &s.host.memory
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("a %T has no descriptor", nc)
	}
	var err error
	if c.raw, err = sc.SyscallConn(); err != nil {
		return nil, err
	}
	c.drive.init(c)
	return c, nil
}

// end makes the connection end soon, for a reason. It never blocks, and may be
// called under any lock.
func (c *conn) end(reason error) {
	if c.reason.CompareAndSwap(nil, &reason) {
		close(c.ending)
		c.way.Lock()
		defer c.way.Unlock()
		if c.polled.on {
			c.socket.host.poller.call(c)
		} else {
			_ = c.net.SetDeadline(past)
		}
	}
}

// isPolled reports whether a poller reads c.
func (c *conn) isPolled() bool {
	c.way.Lock()
	defer c.way.Unlock()
	return c.polled.on
}

// run is the connection's whole life: handshake, reading, the end; unless a
// poller takes it over after the handshake. connects says which side this is;
// deadline is when the handshake must be done. For who connects it reports
// whether the connection was of use, and why it ended.
func (c *conn) run(connects bool, deadline time.Time) (useful bool, reason error) {
	rest, err := c.handshake(connects, deadline)
	if err == nil {
		err = c.awaitID()
	}
	switch {
	case err != nil:
	case !connects && c.change(rest):
		if c.socket.admit(c) {
			c.sendReady()
			c.socket.host.poller.join(c)
			return true, nil
		}
		err = link.ErrClosed
	case c.socket.admit(c):
		c.sendReady()
		err = c.read(rest)
	default:
		err = link.ErrClosed
	}
	c.end(err) // unless somebody else has a better reason
	useful = c.messagesIn > 0 || (c.up && time.Since(c.since) >= usefulAfter)
	c.conclude()
	return useful, *c.reason.Load()
}

// conclude is the end of a connection that has its reason.
func (c *conn) conclude() {
	c.out.mu.Lock()
	c.dropOutgoing()
	c.out.mu.Unlock()
	if c.reader != nil {
		c.reader.Close()
	}
	c.way.Lock()
	if c.polled.on {
		c.polled.on = false
		c.polled.close()
	} else {
		_ = c.net.Close()
	}
	c.way.Unlock()
	c.socket.finish(c, *c.reason.Load())
}

// handshake returns what was received beyond it.
func (c *conn) handshake(connects bool, deadline time.Time) (rest []byte, err error) {
	s := c.socket
	h := zmtp.NewHandshake(zmtp.Config{Type: types[s.options.Role], Identity: s.options.Identity, Connects: connects, Mechanism: zmtp.Null{}})
	s.shake(c)
	defer s.shook(c)
	if err := c.setDeadline(deadline); err != nil {
		return nil, err
	}
	buf := make([]byte, 512)
	received := uint64(0)
	for {
		out := h.Output()
		if len(out) > 0 && h.Done() && s.leavesID(h.Peer().Identity) {
			c.out.mu.Lock()
			c.out.command(out) // READY: the first thing to go out once c is admitted
			c.out.mu.Unlock()
			break
		}
		if len(out) > 0 {
			if _, err := c.net.Write(out); err != nil {
				return nil, err
			}
			c.out.sentBytes += uint64(len(out)) // nobody else knows of c yet
		}
		if h.Done() {
			break
		}
		if !connects { // it may wait for this side
			if err := c.setDeadline(earlier(deadline, time.Now().Add(hurryAfter))); err != nil {
				return nil, err
			}
		}
		n, err := c.net.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) && !connects && c.reason.Load() == nil && time.Now().Before(deadline) {
			h.Hurry()
			if err := c.setDeadline(deadline); err != nil { // it is the writes', too
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, handshakeError(err)
		}
		received += uint64(n)
		if rest, err = h.Feed(buf[:n]); err != nil {
			if out := h.Output(); len(out) > 0 {
				_, _ = c.net.Write(out) // so that it knows why; it may be gone
			}
			return nil, err
		}
	}
	c.peer, c.bytesIn = h.Peer(), received-uint64(len(rest))
	o := &s.options
	c.reader = zmtp.NewReader(zmtp.Limits{FrameBytesMax: o.FrameBytesMax, FramesMax: o.FramesMax, MessageBytesMax: s.messageBytesMax()},
		c, nil, link.LentMax, int64(c.bytesIn))
	return rest, c.setDeadline(time.Time{})
}

// hurryAfter is how long a peer's READY is waited for before this side sends its
// own. Waited for it is because it names the type of socket to be answered.
const hurryAfter = 100 * time.Millisecond

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func handshakeError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errLate
	}
	if errors.Is(err, io.EOF) {
		return errors.New("the other side closed the connection before the handshake was done")
	}
	return err
}

var errLate = errors.New("the handshake took too long")

// setDeadline sets the socket's deadline, but never undoes end's.
func (c *conn) setDeadline(t time.Time) error {
	if err := c.net.SetDeadline(t); err != nil {
		return err
	}
	if c.reason.Load() != nil {
		return c.net.SetDeadline(past)
	}
	return nil
}

// takeFrom reads from what came already.
func (c *conn) takeFrom(rest []byte) int {
	room := c.reader.Room()
	c.room = len(room)
	return copy(room, rest)
}

// read reads until the connection ends, and returns why. rest came already.
func (c *conn) read(rest []byte) error {
	for len(rest) > 0 {
		n := c.takeFrom(rest)
		rest = rest[n:]
		if err := c.received(n); err != nil {
			return err
		}
	}
	for {
		n, err := c.readSome()
		if err != nil {
			return readError(err)
		}
		if err := c.received(n); err != nil {
			return err
		}
	}
}

var errClosed = errors.New("the other side closed the connection")

func readError(err error) error {
	if errors.Is(err, io.EOF) {
		return errClosed
	}
	return err
}

// readsMax is how often a connection is read before others are, and how many
// reads in a row may pass before what waits of it is weighed.
const readsMax = 4

// received takes the n bytes that were just read into the reader's room. While
// the bounds on what waits are reached, it blocks: that is the back-pressure.
func (c *conn) received(n int) error {
	paused, err := c.parse(n)
	if err != nil || !paused {
		return err
	}
	select {
	case <-c.resume:
		return nil
	case <-c.ending:
		return *c.reason.Load()
	}
}

// parse takes the n bytes that were just read into the reader's room, and reports
// whether c has to wait before it reads on. Where that was all that is there, or c
// waits, it keeps no chunk for it.
func (c *conn) parse(n int) (paused bool, err error) {
	b := takeBatch()
	defer b.release()
	b.list, err = c.reader.Filled(n, b.list)
	if pongs := c.reader.Pongs(); len(pongs) > 0 {
		c.answer(pongs)
	}
	c.unweighed = n == c.room && c.fullReads < readsMax-1
	if c.unweighed {
		c.fullReads++
	} else {
		c.fullReads = 0
		c.reader.Idle()
	}
	if paused = c.socket.take(c, b.list, n); paused {
		c.idle()
	}
	return paused, err
}

// idle is to be called when there is nothing to read, or nobody will.
func (c *conn) idle() {
	c.fullReads = 0
	c.reader.Idle()
	if c.unweighed {
		c.unweighed = false
		c.socket.mu.Lock()
		c.socket.weigh(c)
		c.socket.mu.Unlock()
	}
}
