package sim

import (
	"time"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// The numbers of package broker's loop.
const (
	brokerWaitMax  = 100 * time.Millisecond
	brokerLateMin  = 50 * time.Millisecond
	brokerFarewell = 200 * time.Millisecond
	reconnectMax   = 2 * time.Second
	connectTimeout = 3 * time.Second
	retention      = 30 * time.Second
)

// A broker is one start of the broker: the core, and what package broker's
// loop does around it.
type broker struct {
	process
	epoch     uint64
	core      *core.Core
	listening bool
	inbox     [2][]packet
	out       []core.Output
	msg       protocol.Message
	frames    [][]byte
	buf       []byte

	draining bool
	drainEnd time.Duration // on its clock
	byeAt    time.Duration // it has left, and reads on until then; 0: not yet

	restarts func() // what happens once it has ended
}

func (w *world) startBroker() {
	w.brokers++
	b := &broker{process: w.newProcess("broker"), epoch: uint64(w.brokers), listening: true}
	cfg := w.plan.core
	cfg.Epoch = b.epoch
	b.core = core.New(cfg, 0)
	b.turn, b.deadline = b.runTurn, b.nextTurn
	w.broker = b
	for i := range w.net.ports {
		w.net.ports[i] = port{peers: map[string]*conn{}}
	}
	w.oracle.brokerStarted(b)
	b.wake()
}

// arrive is a packet, or an event of the back port's monitor.
func (b *broker) arrive(p packet) {
	if !b.alive {
		return
	}
	side := p.conn.s.side
	b.inbox[side] = append(b.inbox[side], p)
	if !b.isFrozen() {
		b.wake()
	}
}

func (b *broker) nextTurn() (time.Duration, bool) {
	at, ok := b.core.Deadline()
	if b.draining {
		at, ok = b.clock()+brokerWaitMax/10, true
	}
	return at, ok
}

// runTurn is package broker's loop.turn.
func (b *broker) runTurn() {
	now := b.clock()
	late := b.jumped
	if b.stopped {
		late += b.w.now - b.frozenFrom
	}
	late -= b.w.upTo(min(brokerWaitMax, late)) // part of it was the wait
	if late > brokerLateMin {
		if late > b.w.plan.core.Heartbeat && len(b.inbox[core.Front])+len(b.inbox[core.Back]) == 0 && b.core.Gauges().Assigned > 0 {
			b.w.oracle.saw(seenEmptyWakeUp)
		}
		b.w.script("stopped %v", late)
		b.do(b.core.Stopped(now, late, b.out))
	}
	b.take(protocol.FrontPort)
	b.take(protocol.BackPort)
	b.do(b.core.Tick(b.clock(), b.out))
	b.checkCore()
	b.endDrain()
}

func (b *broker) checkCore() {
	if err := b.core.Check(); err != nil {
		b.w.fail("the core's invariants: %v", err)
	}
}

// take passes what has arrived at one port to the core.
func (b *broker) take(at protocol.Port) {
	in := b.inbox[at]
	b.inbox[at] = nil
	for i := range in {
		p := &in[i]
		switch p.kind {
		case link.Disconnected:
			b.w.script("disconnected")
			b.do(b.core.Disconnected(b.clock(), b.out))
		default:
			b.read(at, p)
		}
	}
	for i := range in { // they were lent: what the core keeps of them it has copied
		for _, f := range in[i].frames {
			if len(f) < core.LentMax {
				clear(f)
			}
		}
	}
}

// prv1 is all that is spoken here. What looks like anything else is garbage.
const prv1 = protocol.Dialects(1 << protocol.PRV1)

func (b *broker) read(at protocol.Port, p *packet) {
	o, err := protocol.Read(at, p.frames, prv1, &b.msg)
	from := core.Peer{ID: []byte(p.conn.s.id), Port: at, Dialect: o.Dialect, Envelope: o.Envelope}
	switch {
	case err != nil && o.Worker:
		b.do(b.core.Malformed(b.clock(), core.Back, from, &b.msg, err, b.out))
	case err != nil:
		b.do(b.core.Malformed(b.clock(), core.Front, from, &b.msg, err, b.out))
	case o.Worker:
		b.w.scriptWorker(p.conn.s.name, &b.msg)
		b.w.oracle.brokerReadsWorker(b, p, &b.msg)
		b.do(b.core.Worker(b.clock(), from, &b.msg, b.out))
	default:
		b.w.scriptClient(p.conn.s.name, &b.msg)
		b.w.oracle.brokerReadsClient(b, p, &b.msg)
		b.do(b.core.Client(b.clock(), from, &b.msg, b.out))
	}
}

// do is package broker's loop.deliver.
func (b *broker) do(out []core.Output) {
	b.w.oracle.brokerDecides(b, out)
	for i := 0; i < len(out); i++ { // it grows while it is walked
		o := &out[i]
		b.w.scriptOutput(o)
		switch o.Kind {
		case core.Send:
			before := len(out)
			out = b.send(out, i)
			b.w.oracle.brokerDecides(b, out[before:])
		case core.Drop:
			b.w.oracle.brokerDrops(b, &o.Event)
		case core.Note:
			b.w.oracle.brokerNotes(b, &o.Event)
		}
	}
	clear(out)
	b.out = out[:0]
}

func (b *broker) send(out []core.Output, i int) []core.Output {
	o := &out[i]
	n := &b.w.net
	to := protocol.Origin{Dialect: o.To.Dialect, Worker: o.Side == core.Back, Envelope: o.To.Envelope}
	if to.Dialect != protocol.PRV1 { // garbage: package broker is silent too
		return out
	}
	if to.Worker {
		o.Msg.SentMS = uint32(b.clock() / time.Millisecond)
	}
	b.frames, b.buf = protocol.Append(b.frames[:0], b.buf[:0], &to, &o.Msg)
	c := n.ports[o.Side].peers[string(o.To.ID)]
	full := c != nil && o.Side == core.Back && n.fullOne > 0 && !n.calm && b.w.chance(n.fullOne)
	if c != nil && !full {
		c.push(down, packet{kind: link.Data, frames: copyFrames(b.frames), msg: copyMessage(&o.Msg)})
		if o.Msg.Flags.Has(protocol.ReplayOnly) && o.Side == core.Back && !n.calm && b.w.chance(8) {
			b.w.trace.faults[cutWorker]++ // where it hurts
			c.s.fault(b.w, c.s.seat(), (*conn).cut)
		}
		return out
	}
	if seat := seatOf(c); full && seat != nil {
		seat.trouble(b.w.now, b.w.now+2*b.w.plan.core.Heartbeat, "full")
	}
	b.w.oracle.undeliverable(b, o, c == nil)
	side, peer, msg := o.Side, o.To, o.Msg
	return b.core.Undeliverable(b.clock(), side, peer, &msg, c == nil, out)
}

// drain is SIGTERM.
func (b *broker) drain(timeout time.Duration) {
	if b.draining {
		return
	}
	b.draining, b.drainEnd = true, b.clock()+timeout
	b.w.script("drain")
	b.do(b.core.Drain(b.clock(), b.out))
	b.wake()
}

// endDrain leaves when nothing is held, or the time for it is over.
func (b *broker) endDrain() {
	switch {
	case !b.draining:
	case b.byeAt != 0 && b.w.now >= b.byeAt:
		b.die(true)
	case b.byeAt == 0 && (b.clock() >= b.drainEnd || b.core.Idle()):
		b.byeAt = b.w.now + brokerFarewell
		b.w.script("leave")
		b.do(b.core.Leave(b.clock(), b.out))
	}
}

// die ends the process. What it has sent may still arrive.
func (b *broker) die(orderly bool) {
	w := b.w
	b.alive, b.listening = false, false
	w.broker = nil
	w.oracle.brokerEnded(b)
	for side := range w.net.ports {
		for _, c := range w.net.ports[side].order {
			c.lose(up)
			c.dead = true
			if !orderly && w.chance(2) {
				c.lose(down)
			}
			at := max(w.now+w.net.delay(c.s.path, down), c.last[down]+time.Microsecond)
			w.at(at, c.peerHears)
		}
		w.net.ports[side] = port{peers: map[string]*conn{}}
	}
	if b.restarts != nil {
		b.restarts()
	}
}
