package sim

import (
	"math/rand/v2"
	"time"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// A faultKind is one kind of fault, for the counts.
type faultKind uint8

// The kinds.
const (
	killWorker faultKind = iota
	killBroker
	killClient
	freezeWorker
	freezeBroker
	freezeClient
	cutWorker
	cutClient
	cutAll
	halfOpenPeer
	halfOpenBroker
	partition
	oneWay
	slowWay
	deafWorker
	drainWorker
	drainBroker
	restartTwice
	stepClock
	garbage
	faultKinds
)

var faultNames = [faultKinds]string{"kill-worker", "kill-broker", "kill-client", "freeze-worker", "freeze-broker", "freeze-client",
	"cut-worker", "cut-client", "cut-all", "half-open-peer", "half-open-broker", "partition", "one-way", "slow", "deaf-worker",
	"drain-worker", "drain-broker", "restart-twice", "step-clock", "garbage"}

// faults plans the first phase's faults. Each has ended when the calm begins.
func (w *world) faults() {
	if w.chance(3) {
		w.net.fullOne = 20 + w.random.IntN(200)
	}
	if w.chance(3) {
		w.net.refuseOne = 20 + w.random.IntN(200)
	}
	for range w.plan.faults {
		kind := faultKind(w.random.IntN(int(faultKinds)))
		at := w.upTo(w.plan.calm)
		w.at(at, func() { w.fault(kind) })
	}
	w.at(w.plan.calm, func() { w.net.calm = true })
}

// lasts draws how long a fault lasts: mostly about as long as the time-outs.
func (w *world) lasts() time.Duration {
	d := w.upTo(100 * time.Millisecond)
	switch w.random.IntN(4) {
	case 0, 1:
		d = w.upTo(5 * w.plan.core.Heartbeat)
	case 2:
		d = w.upTo(10 * time.Second)
	}
	return min(d, max(w.plan.calm-w.now, 0))
}

func (w *world) fault(kind faultKind) {
	w.trace.faults[kind]++
	w.note("fault: %s", faultNames[kind])
	seat := w.workers[w.random.IntN(len(w.workers))]
	client := w.clients[w.random.IntN(len(w.clients))]
	d := w.lasts()
	switch kind {
	case killWorker:
		if p := seat.process; p != nil && p.alive {
			p.die()
			seat.restart(w, d)
		}
	case killBroker:
		w.killBroker(d, false)
	case restartTwice:
		w.killBroker(w.upTo(d/2), true)
	case killClient:
		w.killClient(client)
	case freezeWorker:
		if p := seat.process; p != nil && p.alive {
			p.stand(d, 3, func(d time.Duration) {
				p.freeze(w.now + d)
				seat.trouble(w.now, w.now+d, "frozen")
			})
		}
	case freezeBroker:
		if b := w.broker; b != nil {
			b.stand(d, 2, func(d time.Duration) {
				b.freeze(w.now + d)
				w.oracle.frozenBroker(d)
			})
		}
	case freezeClient:
		p := client.process
		p.stand(d, 2, func(d time.Duration) {
			p.freeze(w.now + d)
			for _, c := range p.openCalls() {
				c.frozenAt = max(c.frozenAt, w.now+d)
			}
		})
	case drainWorker:
		if p := seat.process; p != nil && p.alive {
			p.stopping = true
			p.wake()
		}
	case drainBroker:
		if b := w.broker; b != nil && !b.draining {
			b.restarts = func() { w.restartBroker(d) }
			b.drain()
		}
	case stepClock:
		w.stepClock(seat, client, d/4)
	case garbage:
		w.garbage()
	default:
		w.netFault(kind, seat, client, d)
	}
}

func (w *world) netFault(kind faultKind, seat *workerSeat, client *clientSeat, d time.Duration) {
	path, sock := &seat.path, seat.socket()
	toWorker := !w.chance(3)
	if !toWorker {
		path, sock = &client.path, client.process.anySocket()
	}
	switch kind {
	case cutWorker:
		seat.socket().fault(w, seat, (*conn).cut)
	case cutClient:
		client.process.anySocket().fault(w, nil, (*conn).cut)
	case cutAll:
		w.cutEverything()
	case halfOpenPeer, halfOpenBroker:
		if sock != nil {
			end := (*conn).peerHears
			if kind == halfOpenBroker {
				end = (*conn).unroute
			}
			sock.fault(w, sock.seat(), func(c *conn) { c.half(end) })
		}
	case partition, oneWay:
		both, dir := kind == partition, w.random.IntN(2)
		for _, way := range []int{up, down} {
			if both || way == dir {
				path.blocked[way] = max(path.blocked[way], w.now+d)
			}
		}
		if toWorker {
			seat.trouble(w.now, w.now+d, "blocked")
		}
		if w.chance(3) && sock != nil { // and the connection does not survive it
			w.after(w.upTo(d), func() { sock.fault(w, sock.seat(), (*conn).cut) })
		}
	case deafWorker: // for longer than it takes the broker to notice, and not long enough for the worker
		beat := w.plan.core.Heartbeat
		d = min(w.oracle.silence()+w.between(beat/4, beat), max(w.plan.calm-w.now, 0))
		seat.path.blocked[down] = max(seat.path.blocked[down], w.now+d)
		seat.trouble(w.now, w.now+d, "blocked")
		if p := seat.process; p != nil && p.alive {
			p.freeze(w.now + min(d, w.between(beat+beat/4, 2*beat)))
		}
	case slowWay:
		dir, late := w.random.IntN(2), w.upTo(10*time.Second)
		if w.chance(2) {
			late = w.upTo(time.Second)
		}
		late = min(late, max(w.plan.calm-w.now-d, 0))
		path.slow[dir], path.slowUntil[dir] = late, w.now+d
		if toWorker {
			seat.trouble(w.now, w.now+d+late, "slow")
		}
	}
}

func (w *world) cutEverything() {
	for _, s := range w.workers {
		s.socket().fault(w, s, (*conn).cut)
	}
	for _, c := range w.clients {
		for _, s := range append([]*clientSocket(nil), c.process.socks...) {
			s.socket.fault(w, nil, (*conn).cut)
		}
	}
}

// half ends c for one side only.
func (c *conn) half(end func(*conn)) {
	c.dead = true
	c.lose(up)
	c.lose(down)
	end(c)
}

// fault does something to the connection that s has, if it has one. A worker
// is out of reach until it is connected again.
func (s *socket) fault(w *world, seat *workerSeat, do func(*conn)) {
	if s == nil || s.conn == nil {
		return
	}
	if seat != nil {
		seat.troubleUntilBack(w)
	}
	do(s.conn)
}

func (s *socket) seat() *workerSeat {
	if s.worker != nil {
		return s.worker.seat
	}
	return nil
}

func (s *workerSeat) socket() *socket {
	if s.process == nil || !s.process.alive {
		return nil
	}
	return s.process.sock
}

func (p *clientProcess) anySocket() *socket {
	if len(p.socks) == 0 {
		return nil
	}
	return p.socks[p.w.random.IntN(len(p.socks))].socket
}

// killBroker ends the broker at once; another is started after d.
func (w *world) killBroker(d time.Duration, again bool) {
	if w.broker == nil {
		return
	}
	w.broker.die(false)
	w.restartBroker(d)
	if again {
		w.after(d+w.upTo(3*time.Second), func() {
			if !w.net.calm {
				w.killBroker(w.upTo(time.Second), false)
			}
		})
	}
}

func (w *world) restartBroker(d time.Duration) {
	w.after(d, func() {
		if w.broker != nil {
			return
		}
		w.startBroker()
		if w.net.calm {
			return
		}
		switch w.random.IntN(8) { // it rarely rains but it pours
		case 0, 1:
			w.after(w.upTo(150*time.Millisecond), func() { w.cutEverything() })
		case 2:
			w.after(w.upTo(50*time.Millisecond), func() { w.fault(freezeBroker) })
		}
	})
}

// killClient ends a client; the next one may take up some of its requests by
// their ids.
func (w *world) killClient(seat *clientSeat) {
	left := seat.process.openCalls()
	seat.process.die()
	w.startClient(seat)
	for _, c := range left {
		if w.chance(2) {
			again := *c
			again.fromCaller, again.outcome, again.withdrawn, again.pulled, again.taking = true, nil, 0, false, taking{}
			again.sends, again.client = nil, nil
			w.after(w.upTo(2*time.Second), func() { seat.process.askTwice(&again) })
		}
	}
}

// stepClock lets one process's clock jump ahead, as after a sleep of the whole
// machine that the others did not share.
func (w *world) stepClock(seat *workerSeat, client *clientSeat, d time.Duration) {
	p := &client.process.process
	kind := w.random.IntN(3)
	switch kind {
	case 0:
		if seat.process == nil || !seat.process.alive {
			return
		}
		p = &seat.process.process
		seat.trouble(w.now, w.now+d+w.plan.core.Heartbeat, "stepped")
	case 1:
		if w.broker == nil {
			return
		}
		p = &w.broker.process
		w.oracle.frozenBroker(d)
		for _, s := range w.workers {
			s.trouble(w.now, w.now+d+w.plan.core.Heartbeat, "stepped")
		}
	}
	p.began -= d
	p.jumped += d
	if kind == 2 {
		for _, c := range client.process.openCalls() {
			c.frozenAt = w.now
		}
	}
	w.oracle.steps = append(w.oracle.steps, step{w.now, d, kind == 1})
	p.wake()
}

// garbage is somebody who speaks to both ports and makes no sense.
func (w *world) garbage() {
	if w.broker == nil {
		return
	}
	for _, side := range []core.Side{core.Front, core.Back} {
		s := &socket{net: &w.net, owner: &process{w: w, alive: true}, path: &path{}, side: side, id: w.routingID(), name: "x1", role: link.Dealer}
		c := &conn{s: s, b: w.broker}
		w.net.route(c)
		for range 1 + w.random.IntN(5) {
			frames, direction := w.nonsense(), protocol.BackIn
			if side == core.Front {
				direction = protocol.FrontIn
			}
			var m protocol.Message
			if protocol.Parse(direction, frames, &m) == nil {
				continue // it makes sense
			}
			if side == core.Front && w.chance(2) {
				frames = append([][]byte{nil}, frames...)
			}
			c.push(up, packet{kind: link.Data, frames: frames, msg: &m})
		}
		w.after(time.Second, c.unroute)
	}
}

// nonsense is a header with a few bytes changed, or cut short, or no header.
func (w *world) nonsense() [][]byte {
	r := w.random
	m := protocol.Message{Command: protocol.Command(1 + r.IntN(13)), Number: 1, Link: 1, Seq: 1, Service: []byte("echo")}
	frame := protocol.AppendHeader(nil, protocol.BackIn, &m)
	for range 1 + r.IntN(4) {
		frame[r.IntN(len(frame))] = byte(r.IntN(256))
	}
	frames := [][]byte{frame[:r.IntN(len(frame)+1)]}
	for range r.IntN(3) {
		frames = append(frames, make([]byte, r.IntN(9)))
	}
	return frames
}

func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)) }

func seatOf(c *conn) *workerSeat {
	if c == nil {
		return nil
	}
	return c.s.seat()
}
