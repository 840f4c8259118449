package sim

import (
	"time"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// What ZeroMQ and TCP do, as far as a loop can tell.
//
//   - Within a connection messages arrive in order, or not at all.
//   - When a connection ends, what is in flight dies with it, both ways, and
//     nobody is told which messages that were.
//   - A socket connects again by itself, after a wait that doubles.
//   - A ROUTER knows its peers by routing id, and refuses to send to others.
//   - While a process stands still nothing is read, but the kernel goes on
//     taking what arrives.
const (
	netDelayMax    = 2 * time.Millisecond
	readDelayMax   = 5 * time.Millisecond // of libzmq's thread, after the process stood still
	handshakeMax   = 5 * time.Second
	keepaliveAfter = 30 * time.Second // until a dead connection is found out
	synAgain       = time.Second
)

// A network is the broker's two ports, and where faults are injected.
type network struct {
	w         *world
	ports     [2]port
	conns     int
	fullOne   int  // one in so many sends of the broker finds its peer's queue full; 0: none
	refuseOne int  // one in so many sends of a peer is refused; 0: none
	calm      bool // no more faults
}

// A port is a ROUTER's table of connected peers.
type port struct {
	peers map[string]*conn
	gone  map[string][]time.Duration // when those went, oldest first
	order []*conn                    // of connecting
}

// A path is the way between one host and the broker's.
type path struct {
	blocked   [2]time.Duration // up, down: nothing passes until then
	slow      [2]time.Duration // up to so much is added to every message's delay
	slowUntil [2]time.Duration
}

func newPort() port { return port{peers: map[string]*conn{}, gone: map[string][]time.Duration{}} }

const (
	up   = 0 // to the broker
	down = 1 // to the peer
)

func (p *path) isBlocked(now time.Duration) bool {
	return p.blocked[up] > now || p.blocked[down] > now
}

// A socket is a DEALER or REQ socket of a worker or client.
type socket struct {
	net      *network
	owner    *process
	path     *path
	side     core.Side
	role     link.Role
	id       string // routing id
	name     string // in traces
	min, max time.Duration
	closed   bool
	conn     *conn // nil: not connected, as far as it knows
	failures int
	inbox    []packet
	readAt   time.Duration  // slow: when the next message is read
	awaiting bool           // REQ: sent, not answered
	dying    time.Duration  // until then what is sent goes into the queue of the connection that ended
	worker   *workerProcess // the owner, of a back socket
	client   *clientProcess // the owner, of a front socket
}

// A packet is one message, or one event of the socket's monitor.
type packet struct {
	kind   link.Kind
	frames [][]byte
	msg    *protocol.Message // what is in it, for the oracle
	sent   time.Duration
	due    time.Duration // when its reader gets it
	came   time.Duration // when it arrived at its reader's host
	conn   *conn
}

// A conn is one TCP connection. Each end may believe in it longer than the
// other.
type conn struct {
	number  int
	s       *socket
	b       *broker
	peerUp  bool // the socket believes in it
	routed  bool // the broker's ROUTER sends to it and hears it
	dead    bool // nothing passes any more
	flights [2][]packet
	last    [2]time.Duration // when the newest message in flight arrives
}

func (n *network) delay(p *path, dir int) time.Duration {
	d := n.w.between(50*time.Microsecond, netDelayMax)
	if p.slowUntil[dir] > n.w.now {
		d += n.w.upTo(p.slow[dir])
	}
	return d
}

// open makes a socket, which connects by itself.
func (n *network) open(s *socket) *socket {
	s.net = n
	s.connectAfter(n.w.upTo(time.Millisecond))
	return s
}

// close ends a socket: what it has sent may still arrive, or not.
func (s *socket) close() {
	if s.closed {
		return
	}
	s.closed = true
	if c := s.conn; c != nil {
		s.conn = nil
		c.peerUp = false
		c.leaves()
		s.net.leave(c)
	}
	s.inbox = nil
}

// leave lets the broker find out that c's socket is gone, once what is in
// flight has arrived or is lost.
func (n *network) leave(c *conn) {
	c.lose(down)
	if n.w.chance(2) {
		c.lose(up)
	}
	at := max(n.w.now+n.delay(c.s.path, up), c.last[up]+time.Microsecond)
	n.w.at(at, func() { c.brokerHears() })
}

// leaves: c is no way to the broker any more.
func (c *conn) leaves() {
	if seat := c.s.seat(); seat != nil && seat.socket() == c.s {
		seat.leaves(c.s.net.w.now)
	}
}

// goneFor is for how long the connection of k has been gone: it may have been
// back for a moment, but without a word of it. What the broker stood still, and
// knows of, is not counted.
func (n *network) goneFor(k *backPeer) time.Duration {
	p, o := &n.ports[core.Back], &n.w.oracle
	for _, at := range p.gone[k.id] {
		if at >= k.heard.at && p.peers[k.id] == nil {
			return n.w.now - at - o.brokerKnows(at, n.w.now) + o.stepped(at)
		}
	}
	return 0
}

// brokerHears is the end of c arriving at the broker.
func (c *conn) brokerHears() {
	w := c.s.net.w
	if b := c.s.path.blocked[up]; b > w.now {
		w.at(min(b+w.upTo(readDelayMax), w.now+keepaliveAfter), c.brokerHears)
		return
	}
	c.unroute()
}

// unroute takes c off the broker's table; the monitor of the back port says so.
func (c *conn) unroute() {
	c.lose(up)
	c.dead = true
	if !c.routed || !c.b.alive {
		return
	}
	c.routed = false
	p := &c.s.net.ports[c.s.side]
	if p.peers[c.s.id] == c {
		delete(p.peers, c.s.id)
		p.gone[c.s.id] = append(p.gone[c.s.id], c.b.w.now)
		c.leaves()
	}
	for i := range p.order {
		if p.order[i] == c {
			p.order = append(p.order[:i], p.order[i+1:]...)
			break
		}
	}
	if c.s.side == core.Back {
		c.b.arrive(packet{kind: link.Disconnected, conn: c})
	}
}

// peerHears is the end of c arriving at the socket, which connects again.
func (c *conn) peerHears() {
	s, w := c.s, c.s.net.w
	if !c.peerUp || s.closed || s.conn != c {
		return
	}
	if b := s.path.blocked[down]; b > w.now {
		w.at(min(b+w.upTo(readDelayMax), w.now+keepaliveAfter), c.peerHears)
		return
	}
	if s.owner.isFrozen() {
		w.at(s.owner.frozen+w.upTo(readDelayMax), c.peerHears)
		return
	}
	c.peerUp = false
	c.lose(down)
	c.leaves()
	s.conn = nil
	if w.chance(2) {
		s.dying = w.now + w.upTo(3*time.Millisecond)
	}
	s.put(packet{kind: link.Disconnected})
	s.failures = 0
	s.connectAfter(s.wait())
}

// cut ends c for both sides, as a RST does.
func (c *conn) cut() {
	w := c.s.net.w
	c.dead = true
	c.lose(up)
	c.lose(down)
	w.after(w.upTo(netDelayMax), c.peerHears)
	w.after(w.upTo(netDelayMax), c.brokerHears)
}

// lose drops what is in flight in one direction.
func (c *conn) lose(dir int) {
	for i := range c.flights[dir] {
		c.s.net.w.oracle.lost(&c.flights[dir][i], dir)
	}
	c.flights[dir] = nil
}

// push puts a message into flight.
func (c *conn) push(dir int, p packet) {
	w := c.s.net.w
	p.conn = c
	if c.dead {
		w.oracle.lost(&p, dir)
		return
	}
	p.sent, p.due = w.now, max(w.now+c.s.net.delay(c.s.path, dir), c.last[dir])
	p.came = p.due
	c.last[dir] = p.due
	c.flights[dir] = append(c.flights[dir], p)
	w.at(p.due, func() { c.pump(dir) })
}

// pump delivers what has arrived in one direction.
func (c *conn) pump(dir int) {
	w := c.s.net.w
	for len(c.flights[dir]) > 0 && c.flights[dir][0].due <= w.now {
		reader := c.s.owner
		if dir == up {
			reader = &c.b.process
		}
		switch {
		case c.s.path.blocked[dir] > w.now:
			c.hold(dir, c.s.path.blocked[dir]+w.upTo(netDelayMax))
			for i := range c.flights[dir] {
				c.flights[dir][i].came = c.flights[dir][i].due
			}
			return
		case !reader.alive || dir == down && c.s.closed:
			c.lose(dir)
			return
		case reader.isFrozen():
			c.hold(dir, reader.frozen+w.upTo(readDelayMax))
			return
		}
		p := c.flights[dir][0]
		c.flights[dir] = c.flights[dir][1:]
		switch {
		case dir == down:
			c.s.put(p)
		case c.routed:
			c.b.arrive(p)
		default: // a second socket with this routing id: never heard
			w.oracle.lost(&p, dir)
		}
	}
}

// hold lets the messages in flight wait until at; they come in quick succession
// then, and their reader may look at its socket in between.
func (c *conn) hold(dir int, at time.Duration) {
	w := c.s.net.w
	for i := range c.flights[dir] {
		p := &c.flights[dir][i]
		p.due = max(p.due, at)
		w.at(p.due, func() { c.pump(dir) })
		at = p.due + w.upTo(300*time.Microsecond)
	}
	c.last[dir] = max(c.last[dir], at)
}

// put is p arriving at the socket.
func (s *socket) put(p packet) {
	if s.closed || !s.owner.alive {
		return
	}
	s.inbox = append(s.inbox, p)
	s.owner.wake()
}

// read takes all that has arrived, or some of it: more than fits into one turn
// comes with the next.
func (s *socket) read() []packet {
	if s.owner.isSlow() {
		return s.readSlowly()
	}
	n := len(s.inbox)
	if w := s.net.w; n > 1 && !w.net.calm && w.chance(20) {
		n /= 2
	}
	in := s.inbox[:n:n]
	s.inbox = s.inbox[n:]
	return in
}

// send is zmq_send with DONTWAIT and IMMEDIATE: false without a connection.
func (s *socket) send(frames [][]byte, m *protocol.Message) bool {
	if s.conn == nil && s.net.w.now < s.dying { // taken, and lost
		s.awaiting = true
		return true
	}
	if s.conn == nil {
		return false
	}
	if s.net.refuseOne > 0 && !s.net.calm && s.net.w.chance(s.net.refuseOne) {
		if seat := s.seat(); seat != nil {
			seat.trouble(s.net.w.now, s.net.w.now+2*s.net.w.plan.core.Heartbeat, "refused")
		}
		return false
	}
	if s.role == link.Req && s.awaiting {
		s.net.w.fail("machines: a REQ socket was to send twice (EFSM)")
	}
	s.awaiting = true
	s.conn.push(up, packet{kind: link.Data, frames: copyFrames(frames), msg: copyMessage(m)})
	if c := s.conn; c.dead && s.net.w.chance(2) { // the other end answers with RST
		s.net.w.after(s.net.delay(s.path, down), c.peerHears)
	}
	return true
}

func copyFrames(frames [][]byte) [][]byte {
	n := 0
	for _, f := range frames {
		n += len(f)
	}
	all, out := make([]byte, 0, n), make([][]byte, len(frames))
	for i, f := range frames {
		all = append(all, f...)
		out[i] = all[len(all)-len(f) : len(all) : len(all)]
	}
	return out
}

// copyMessage keeps what the oracle may want to know of m, whose slices are
// used again by its sender.
func copyMessage(m *protocol.Message) *protocol.Message {
	c := *m
	c.Entries = append([]protocol.Entry(nil), m.Entries...)
	c.Acks = append([]protocol.Acked(nil), m.Acks...)
	return &c
}
