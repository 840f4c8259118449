package zmtplink

import (
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
)

// A Router that does not hand over leaves a routing id to its connection until
// that ends: whoever knows an id must not get what is meant for another. But
// where a network was cut, a client may be back long before TCP finds out that
// its earlier connection is dead. So who comes with an id that is taken waits, and
// its holder is asked whether it lives: it has so many looks at it, so far
// apart, to say anything. Until the id is its own it is not told READY: what a peer
// has sent on a connection that is then cut off would be lost, and what it has not
// it sends on the next.
const (
	askEach = 100 * time.Millisecond
	looksAt = 20
)

// leavesID reports whether a routing id stays with the connection that has it.
func (s *socket) leavesID(id []byte) bool {
	return s.options.Role == link.Router && !s.options.Handover && len(id) > 0
}

// sendReady sends what handshake has kept back, before a poller has c.
func (c *conn) sendReady() {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.flush()
}

// awaitID waits until c's routing id is free. It fails if that belongs to a
// connection that lives, or nobody can tell.
func (c *conn) awaitID() error {
	s := c.socket
	if !s.leavesID(c.peer.Identity) {
		return nil
	}
	holder, word := s.ask(c)
	if holder == nil {
		return nil
	}
	s.shake(c) // it counts as one meanwhile
	defer s.shook(c)
	limit := time.NewTimer(s.host.handshake)
	defer limit.Stop()
	tick := time.NewTicker(s.host.askEach)
	defer tick.Stop()
	last, looks, silent := time.Now(), holder.looks.Load(), 0
	for {
		select {
		case <-word:
			if s.isFree(c) {
				return nil
			}
			return errTaken
		case <-c.ending:
			return *c.reason.Load()
		case <-limit.C:
			return errTaken
		case <-tick.C:
		}
		// Nobody was silent while this process stood still, or its owner did not look.
		now, seen := time.Now(), s.lookAt(holder)
		if now.Sub(last) < s.host.askEach+askEach && seen != looks {
			silent++
		}
		if last, looks = now, seen; silent >= looksAt && !s.giveUp(holder, word) {
			return errTaken
		}
	}
}

// ask returns the connection that has c's routing id, after it has asked that
// for a sign of life, and what is closed when there was one, or it has ended.
func (s *socket) ask(c *conn) (holder *conn, word chan struct{}) {
	s.mu.Lock()
	holder = s.peers[string(c.peer.Identity)]
	if holder == nil {
		s.mu.Unlock()
		return nil, nil
	}
	asked := holder.asked != nil
	if !asked {
		holder.asked = make(chan struct{})
	}
	word = holder.asked
	s.mu.Unlock()
	if !asked && holder.answersPing() && holder.sendCommand(ping) {
		s.mu.Lock()
		holder.pinged = holder.asked == word
		s.mu.Unlock()
	}
	return holder, word
}

// ping has no time to live: none but this side draws a conclusion.
var ping = zmtp.AppendCommand(nil, "PING", []byte{0, 0})

// answersPing reports whether silence of c may mean that it is dead. The end of a
// process on the same machine is seen at once.
func (c *conn) answersPing() bool {
	r := c.peer.Revision
	return c.remote != nil && c.remote.Network() == "tcp" && (r.Major > 3 || r.Major == 3 && r.Minor >= 1)
}

// isFree reports whether nobody has c's routing id.
func (s *socket) isFree(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peers[string(c.peer.Identity)] == nil
}

// spoke lets those know who wait for a word of c's. s.mu is held.
func (c *conn) spoke() {
	if c.asked != nil {
		close(c.asked)
		c.asked, c.pinged = nil, false
	}
}

// lookAt returns how often it was looked whether c has said anything, and lets
// that be done again. Where c is not read, or the question still waits for room,
// nobody looks.
func (s *socket) lookAt(c *conn) uint64 {
	seen := c.looks.Load()
	switch {
	case c.isPolled():
		if !c.looking.Swap(true) { // or the owner has yet to do it
			s.host.poller.call(c)
		}
	case c.mayBeHeard():
		c.looks.Add(1)
	}
	return seen
}

// mayBeHeard reports whether c is read, and has nothing to send that waits.
func (c *conn) mayBeHeard() bool {
	c.socket.mu.Lock()
	paused := c.paused
	c.socket.mu.Unlock()
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return !paused && c.out.empty()
}

// giveUp ends a connection that has not said a word since it was asked. It
// reports false if silence proves nothing, because it could not be asked.
func (s *socket) giveUp(c *conn, word chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.asked != word {
		return true // it has spoken just now
	}
	if c.pinged {
		c.end(errSilent)
	}
	return c.pinged
}
