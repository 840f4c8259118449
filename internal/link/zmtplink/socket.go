package zmtplink

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
)

const (
	fairShare  = 32   // messages of one peer before the next has its turn
	endedMax   = 4096 // connections that have ended and were not read to their end: accepting waits
	spareBytes = 64 << 10
	looksMax   = 16 // in one Recv
)

var types = [...]zmtp.SocketType{link.Router: zmtp.Router, link.Dealer: zmtp.Dealer, link.Req: zmtp.Req}

// socket implements link.Link.
type socket struct {
	host    *host
	options link.Options
	addr    string
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc

	listeners []*listener
	stats     counters
	toRead    atomic.Int64 // held by all connections
	toSend    atomic.Int64

	mu       sync.Mutex
	conns    map[*conn]struct{} // all whose goroutine is not done
	peers    map[string]*conn   // Router: who can be sent to
	current  *conn              // Dealer, Req: the connection; nil while there is none
	ready    []*conn            // have something to read, in turn
	readyAt  int                // the first of them
	paused   []*conn            // wait for room
	ended    int                // connections that are over, but in ready
	shaking  orderedList        // handshakes under way
	partial  orderedList        // with a message that is not whole
	notWhole int64              // what those take
	waiting  bool               // in host.ready
	closed   bool

	// The owner's alone.
	looked   uint64         // the poller's last look before the last Recv
	lent     []zmtp.Message // by the last Recv
	held     link.Failures  // of what was Put
	dirty    []*conn        // Router: something was Put
	awaiting bool           // Req: a request was sent and its reply not read
}

func newSocket(h *host, o link.Options) *socket {
	s := &socket{host: h, options: o, conns: map[*conn]struct{}{}, peers: map[string]*conn{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// messageBytesMax bounds a message that is not whole, and what may wait to be sent
// on one connection before one more message.
func (s *socket) messageBytesMax() int64 {
	return max(s.options.PeerBytesMax, s.options.FrameBytesMax+spareBytes)
}

// Addr implements link.Link.
func (s *socket) Addr() string { return s.addr }

// shake notes a handshake under way. Of too many the oldest ends.
func (s *socket) shake(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
	s.shaking.add(c)
	if s.shaking.count > s.options.HandshakesMax {
		oldest := s.shaking.first
		leave(oldest)
		oldest.end(errManyShakes)
	}
	if s.closed {
		c.end(link.ErrClosed)
	}
}

func (s *socket) shook(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	leave(c)
}

// admit makes c one that is read from and sent to, unless the link is closed or
// its routing id is taken.
func (s *socket) admit(c *conn) bool {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false
	}
	if s.options.Role == link.Router {
		c.id = c.peer.Identity
		if len(c.id) == 0 {
			c.id = s.newID()
		}
		first := s.peers[string(c.id)]
		if first != nil && !s.options.Handover {
			// With libzmq it would stay connected and never be heard, also when the
			// first one, which may be dead, has ended: cut off, it comes again.
			s.mu.Unlock()
			c.end(errTaken)
			return false
		}
		if first != nil {
			first.muted = true
		}
		c.up, s.peers[string(c.id)] = true, c
	} else {
		c.up = true
		s.current = c
	}
	s.event(c, link.Connected)
	s.mu.Unlock()
	s.host.tell()
	return true
}

// newID makes a routing id as libzmq does: a zero byte and four others.
func (s *socket) newID() []byte {
	for {
		id := binary.BigEndian.AppendUint32([]byte{0}, rand.Uint32())
		if s.peers[string(id)] == nil {
			return id
		}
	}
}

// event notes what is only told where it was asked for.
func (s *socket) event(c *conn, kind link.Kind) {
	if s.options.Monitor && !s.closed {
		c.push(entry{kind: kind})
		s.list(c)
	}
}

// list makes c one that has something to read.
func (s *socket) list(c *conn) {
	if !c.listed {
		c.listed = true
		s.enqueue(c)
	}
	if !s.waiting {
		s.waiting = true
		s.host.ready.Add(1)
	}
}

// enqueue puts c behind all others that have something to read.
func (s *socket) enqueue(c *conn) {
	if s.readyAt > 64 && s.readyAt > len(s.ready)/2 {
		n := copy(s.ready, s.ready[s.readyAt:])
		clear(s.ready[n:])
		s.ready, s.readyAt = s.ready[:n], 0
	}
	s.ready = append(s.ready, c)
}

// take takes messages of c, which n bytes have made whole, and reports whether c
// has to wait before it reads on.
func (s *socket) take(c *conn, list []zmtp.Message, n int) (paused bool) {
	s.mu.Lock()
	c.bytesIn += uint64(n)
	c.messagesIn += uint64(len(list))
	c.spoke()
	told := false
	for i := range list {
		if s.closed || c.muted {
			c.discard(&list[i])
			continue
		}
		c.push(entry{message: list[i]})
		told = true
	}
	if told {
		s.list(c)
	}
	if !c.unweighed {
		s.weigh(c)
	}
	if paused = !s.closed && !s.mayRead(c, c.reader.Unfinished()); paused {
		s.stats.readPauses.Add(1)
		c.paused = true
		s.paused = append(s.paused, c)
	}
	s.mu.Unlock()
	if told {
		s.host.tell()
	}
	return paused
}

// weigh counts c's message that is not whole. If all of those take too much,
// the connections whose began first end: who sends at a fair pace is through
// with it long before.
func (s *socket) weigh(c *conn) {
	now := c.reader.Unfinished()
	if now == c.unfinished {
		return
	}
	s.notWhole += now - c.unfinished
	if c.unfinished = now; now == 0 {
		leave(c)
		return
	}
	if c.order.in == nil {
		s.partial.add(c)
	}
	for most := max(s.options.LinkBytesMax/4, s.messageBytesMax()); s.notWhole > most && s.partial.first != nil; {
		oldest := s.partial.first
		s.unweigh(oldest)
		oldest.end(errUnfinished)
	}
}

func (s *socket) unweigh(c *conn) {
	s.notWhole -= c.unfinished
	c.unfinished = 0
	leave(c)
}

// mayRead reports whether the bounds on what waits let c read on. A message
// that is not whole, and takes so much, may always become so: it has a bound of its
// own.
func (s *socket) mayRead(c *conn, unfinished int64) bool {
	waits := c.inbox.len()
	if waits == 0 && s.readyAt == len(s.ready) {
		return true
	}
	return waits < s.options.RecvMax && (waits == 0 || c.held.Load()-unfinished < s.options.PeerBytesMax) &&
		s.toRead.Load() < max(s.options.LinkBytesMax/2, s.messageBytesMax())
}

// finish notes that c is over.
func (s *socket) finish(c *conn, reason error) {
	s.note(c, reason)
	s.mu.Lock()
	delete(s.conns, c)
	s.unweigh(c)
	if s.peers[string(c.id)] == c {
		delete(s.peers, string(c.id))
	}
	if s.current == c {
		s.current = nil
	}
	if c.paused {
		c.paused = false
		s.paused = slices.DeleteFunc(s.paused, func(other *conn) bool { return other == c })
	}
	c.over = true
	c.spoke()
	told := c.up && s.options.Monitor && !s.closed
	if told {
		s.event(c, link.Disconnected)
	}
	if c.listed {
		s.ended++
	}
	s.mu.Unlock()
	if told {
		s.host.tell()
	}
}

// Recv implements link.Link. Peers are read in turn, a few messages of each,
// and each in order: Connected, what it has sent, Disconnected. On a Req link,
// what is no reply to its request is discarded.
func (s *socket) Recv(dst []link.Message, limit int) ([]link.Message, error) {
	for i := range s.lent {
		s.lent[i].Release()
	}
	s.lent = s.lent[:0]
	first, end := len(dst), len(dst)+max(limit, 0)
	dst, err := s.fetch(dst, end)
	for looks := looksMax; err == nil && len(dst) < end && looks > 0 && s.host.lookAgain(s.looked); looks-- {
		dst, err = s.fetch(dst, end)
	}
	s.looked = s.host.looks()
	if !s.options.Lend {
		s.own(dst[first:])
	}
	return dst, err
}

// fetch appends what waits to dst, until it has end messages.
func (s *socket) fetch(dst []link.Message, end int) ([]link.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return dst, link.ErrClosed
	}
	for len(dst) < end && s.readyAt < len(s.ready) {
		c := s.ready[s.readyAt]
		s.ready[s.readyAt] = nil
		s.readyAt++
		for share := fairShare; share > 0 && len(dst) < end && c.inbox.len() > 0; share-- {
			dst = s.deliver(dst, c)
		}
		if c.inbox.len() > 0 {
			s.enqueue(c)
			continue
		}
		if c.listed = false; c.over {
			s.ended--
		}
	}
	if s.readyAt == len(s.ready) {
		s.ready, s.readyAt = s.ready[:0], 0
		if s.waiting {
			s.waiting = false
			s.host.ready.Add(-1)
		}
	}
	if len(s.paused) > 0 {
		s.wakeReaders()
	}
	return dst, nil
}

// deliver appends the first entry of c to dst, if it is for the owner's eyes.
func (s *socket) deliver(dst []link.Message, c *conn) []link.Message {
	e := c.pop()
	m := link.Message{Kind: e.kind, Frames: e.message.Frames, Peer: c.id}
	if e.kind == link.Connected {
		m.Socket = c.peer.Type.String()
	}
	if e.kind != link.Data {
		if now := s.peers[string(c.id)]; e.kind == link.Disconnected && now != nil || c.muted {
			m.Peer = nil // another connection has its id
		}
		return append(dst, m)
	}
	if s.options.Role == link.Req {
		if !s.awaiting || len(m.Frames) < 2 || len(m.Frames[0]) != 0 {
			c.discard(&e.message)
			return dst
		}
		s.awaiting = false
		m.Frames = m.Frames[1:]
	}
	c.hold(-e.message.Large) // those frames are the owner's now
	s.lent = append(s.lent, e.message)
	return append(dst, m)
}

// wakeReaders lets those read on who may.
func (s *socket) wakeReaders() {
	kept := s.paused[:0]
	for _, c := range s.paused {
		if c.inbox.len() > s.options.RecvMax/2 || !s.mayRead(c, c.unfinished) {
			kept = append(kept, c)
			continue
		}
		c.paused = false
		if c.polled.on {
			s.host.poller.watch(c)
			continue
		}
		select {
		case c.resume <- struct{}{}:
		default:
		}
	}
	clear(s.paused[len(kept):])
	s.paused = kept
}
