package zmtplink

import (
	"cmp"
	"slices"

	"github.com/privateer-mq/privateer/internal/link"
)

// Send implements link.Link. Besides the interface's errors it returns
// ErrClosed, ErrNoFrames, and on a Req link ErrAwaitingReply. A Dealer or Req
// without a connection, or before its handshake is done, is ErrUnreachable.
func (s *socket) Send(peer []byte, frames ...[]byte) error {
	c, place, err := s.put(peer, frames)
	if err != nil {
		return err
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.flush(); c.out.lost(place) {
		return link.ErrUnreachable
	}
	return nil
}

// Queue implements link.Queuer. Its errors are those of Send.
func (s *socket) Queue(peer []byte, frames ...[]byte) error {
	c, _, err := s.put(peer, frames)
	if err == nil && !c.dirty {
		c.dirty = true
		s.dirty = append(s.dirty, c)
	}
	return err
}

// Put implements link.Link. Its errors are those of Send.
func (s *socket) Put(peer []byte, frames ...[]byte) {
	err := s.held.First()
	if err == nil || s.options.Role == link.Router {
		err = s.record(peer, frames)
	}
	s.held.Note(err)
}

// record puts a message and notes which one it is, for Flush.
func (s *socket) record(peer []byte, frames [][]byte) error {
	c, err := s.route(peer, frames)
	if err != nil {
		return err
	}
	if s.options.Role != link.Router && len(s.dirty) > 0 && s.dirty[0] != c {
		return link.ErrUnreachable // what was put before it went with another connection
	}
	place, err := s.putOn(c, frames)
	if err != nil {
		return err
	}
	if c.puts = append(c.puts, put{s.held.Count(), place}); !c.dirty {
		c.dirty = true
		s.dirty = append(s.dirty, c)
	}
	return nil
}

const putsKept = 64 // of one connection; a longer list is not kept

// Flush implements link.Link: one write for each connection, as far as its
// socket has room. Of a connection that has ended, what was certainly not written
// whole did not arrive.
func (s *socket) Flush(failed func(number int, err error)) {
	for i, c := range s.dirty {
		c.dirty = false
		s.dirty[i] = nil
		c.out.mu.Lock()
		c.flush()
		for _, p := range c.puts {
			if c.out.lost(p.place) {
				s.held.Fail(p.number, link.ErrUnreachable)
			}
		}
		c.out.mu.Unlock()
		if c.puts = c.puts[:0]; cap(c.puts) > putsKept {
			c.puts = nil
		}
	}
	s.dirty = s.dirty[:0]
	s.held.Report(failed)
}

// put appends a message to what is to be sent to its peer. place is how many came
// before it on that connection.
func (s *socket) put(peer []byte, frames [][]byte) (c *conn, place uint64, err error) {
	if c, err = s.route(peer, frames); err == nil {
		place, err = s.putOn(c, frames)
	}
	return c, place, err
}

// putOn is put, where the connection is known.
func (s *socket) putOn(c *conn, frames [][]byte) (place uint64, err error) {
	isReq := s.options.Role == link.Req
	if place, err = c.put(frames, isReq); err != nil {
		return 0, err
	}
	s.awaiting = isReq
	// The one connection of a Dealer or Req has a bound of its own.
	if s.options.Role == link.Router && s.toSend.Load() > s.toSendMax() {
		s.cutSlow()
	}
	return place, nil
}

// toSendMax lets two messages wait that are as large as may be, for nobody is slow
// who has not taken them yet. Memory of the pool is up to an eighth larger.
func (s *socket) toSendMax() int64 { return max(s.options.LinkBytesMax/2, s.messageBytesMax()/4*9) }

// route finds the connection that a message goes out on.
func (s *socket) route(peer []byte, frames [][]byte) (c *conn, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, link.ErrClosed
	case len(frames) == 0:
		return nil, link.ErrNoFrames
	case s.awaiting:
		return nil, link.ErrAwaitingReply
	case s.options.Role == link.Router:
		c = s.peers[string(peer)]
	default:
		c = s.current
	}
	if c == nil {
		return nil, link.ErrUnreachable
	}
	if s.options.Role == link.Req {
		s.discardUnasked()
	}
	return c, nil
}

// discardUnasked drops replies that came before the question: REQ takes none
// of them for its answer.
func (s *socket) discardUnasked() {
	for _, c := range s.ready[s.readyAt:] {
		for n := c.inbox.len(); n > 0; n-- {
			if e := c.pop(); e.kind != link.Data {
				c.push(e)
			} else {
				c.discard(&e.message)
			}
		}
	}
}

// cutSlow ends the connections on which most waits, until all together is well
// below the bound: what others do not read must not keep answers from those who
// do.
func (s *socket) cutSlow() {
	type waiting struct {
		c     *conn
		bytes int64
	}
	var list []waiting
	s.mu.Lock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.out.mu.Lock()
		if c.out.cost > 0 && c.reason.Load() == nil {
			list = append(list, waiting{c, c.out.cost})
		}
		c.out.mu.Unlock()
	}
	slices.SortFunc(list, func(a, b waiting) int { return cmp.Compare(b.bytes, a.bytes) })
	least := s.toSendMax() / 8 * 7
	for _, w := range list {
		if s.toSend.Load() <= least {
			return
		}
		w.c.end(errSlow)
		w.c.out.mu.Lock()
		w.c.dropOutgoing()
		w.c.out.mu.Unlock()
	}
}

// Disconnect implements link.Disconnector.
func (s *socket) Disconnect(peer []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.peers[string(peer)]
	if c == nil {
		return false
	}
	delete(s.peers, string(peer))
	c.end(errDisconnect)
	return true
}

// Close implements link.Link. It does not block: what is unsent goes out for
// Linger, and the host's Close waits for that.
func (s *socket) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.cancel()
	conns, polled := make([]*conn, 0, len(s.conns)), 0
	for c := range s.conns {
		if conns = append(conns, c); c.up && c.isPolled() { // those come first
			conns[polled], conns[len(conns)-1] = c, conns[polled]
			polled++
		}
	}
	for _, c := range s.ready[s.readyAt:] {
		for c.inbox.len() > 0 {
			e := c.pop()
			c.discard(&e.message)
		}
	}
	s.ready, s.readyAt = nil, 0
	if s.waiting {
		s.waiting = false
		s.host.ready.Add(-1)
	}
	s.wakeReaders()
	s.mu.Unlock()
	for i := range s.lent {
		s.lent[i].Release()
	}
	s.lent, s.dirty = nil, nil
	for _, l := range s.listeners {
		l.close()
	}
	for i, c := range conns {
		if i < polled {
			c.changeBack()
		}
		c.closeAfter(s.options.Linger)
	}
	s.host.forget(s)
	return nil
}
