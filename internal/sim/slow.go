package sim

import "time"

// Slow readers: processes that take one message now and then from each socket,
// and do all else as ever. What is sent to them waits, and does not fit for long.

// slowly plans them.
func (w *world) slowly() {
	for range 1 + w.more.IntN(3) {
		at := time.Duration(w.more.Int64N(int64(w.plan.calm)))
		d := min(time.Duration(w.more.Int64N(int64(6*time.Second))), w.plan.calm-at)
		client := w.clients[w.more.IntN(len(w.clients))]
		seat := w.workers[w.more.IntN(len(w.workers))]
		if w.more.IntN(3) > 0 {
			w.at(at, func() { client.process.slowDown(d) })
			continue
		}
		w.at(at, func() {
			if p := seat.process; p != nil && p.alive {
				p.slow = max(p.slow, w.now+d)
				seat.trouble(w.now, w.now+d+readDelayMax, "slow reader")
			}
		})
	}
}

// slowDown: the answers to its calls may wait for as long.
func (p *clientProcess) slowDown(d time.Duration) {
	p.w.note("%s reads slowly for %v", p.name, d)
	p.slow = max(p.slow, p.w.now+d)
	for _, c := range p.openCalls() {
		c.frozenAt = max(c.frozenAt, p.slow)
	}
}

func (p *process) isSlow() bool { return p.slow > p.w.now }

// readSlowly takes the first message, if it is time for one.
func (s *socket) readSlowly() (in []packet) {
	p, w := s.owner, s.net.w
	if len(s.inbox) > 0 && w.now >= s.readAt {
		s.readAt = w.now + time.Duration(1+w.more.Int64N(int64(40*time.Millisecond)))
		in, s.inbox = s.inbox[:1:1], s.inbox[1:]
	}
	if len(s.inbox) > 0 {
		p.turnAt(min(s.readAt, p.slow))
	}
	return in
}

// queueMax is how much may wait for a slow reader.
const queueMax = 3

// isFull reports whether nothing more can be sent to the peer of c, which is slow.
func (c *conn) isFull() bool {
	return c.s.owner.isSlow() && len(c.s.inbox)+len(c.flights[down]) >= queueMax
}
