package sim

import (
	"time"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link"
)

// wait is how long s waits before it connects again.
func (s *socket) wait() time.Duration {
	d := s.min
	for range s.failures {
		d = min(2*d, s.max)
	}
	return d + s.net.w.upTo(s.min) // libzmq's jitter
}

func (s *socket) connectAfter(d time.Duration) { s.net.w.after(d, s.connect) }

// connect tries to connect: the kernel's part needs only the host and the way,
// ZeroMQ's handshake needs a broker that runs.
func (s *socket) connect() {
	w := s.net.w
	if s.closed || !s.owner.alive || s.conn != nil {
		return
	}
	if s.owner.isFrozen() {
		w.at(s.owner.frozen+w.upTo(readDelayMax), s.connect)
		return
	}
	again := func(after time.Duration) {
		s.failures++
		s.connectAfter(after + s.wait())
	}
	b := w.broker
	blocked := max(s.path.blocked[up], s.path.blocked[down])
	switch {
	case blocked > w.now+connectTimeout:
		again(connectTimeout)
	case blocked > w.now:
		w.at(blocked+w.upTo(synAgain), s.connect)
	case b == nil || !b.listening:
		again(w.upTo(netDelayMax))
	case b.isFrozen() && b.frozen > w.now+handshakeMax:
		again(handshakeMax)
	case b.isFrozen():
		w.at(b.frozen+w.upTo(readDelayMax), s.connect)
	default:
		w.after(2*s.net.delay(s.path, up), func() { s.connected(b) })
	}
}

// connected is the end of the handshake.
func (s *socket) connected(b *broker) {
	w := s.net.w
	if s.closed || !s.owner.alive || s.conn != nil {
		return
	}
	if w.broker != b || b.isFrozen() || s.owner.isFrozen() || s.path.isBlocked(w.now) {
		s.connect()
		return
	}
	s.net.conns++
	c := &conn{number: s.net.conns, s: s, b: b, peerUp: true}
	s.conn, s.failures = c, 0
	s.net.route(c)
	s.put(packet{kind: link.Connected})
}

// route makes c known to the broker's ROUTER. Where its routing id is known
// already the back port hands it over, and the front port never hears c.
func (n *network) route(c *conn) {
	p := &n.ports[c.s.side]
	if old := p.peers[c.s.id]; old != nil {
		if c.s.side == core.Front {
			n.w.after(keepaliveAfter, old.unroute)
			return
		}
		n.w.oracle.saw(seenHandover)
		old.unroute()
	}
	c.routed = true
	if seat := c.s.seat(); seat != nil {
		seat.back(n.w.now)
	}
	p.peers[c.s.id] = c
	p.order = append(p.order, c)
}
