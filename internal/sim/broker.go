package sim

import (
	"time"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// The numbers of package broker.
const (
	reconnectMax   = 2 * time.Second
	connectTimeout = 3 * time.Second
	retention      = 30 * time.Second
	brokerWaitMax  = 100 * time.Millisecond
	brokerFarewell = 200 * time.Millisecond
)

// A broker is one start of the broker: the core, and what package broker's
// loop does around it.
type broker struct {
	process
	epoch     uint64
	core      *core.Core
	turns     *core.Turns
	listening bool
	inbox     [2][]packet
	out       []core.Output
	frames    [][]byte
	buf       []byte

	now      time.Duration // of its turn
	at       time.Duration // of what it is told now: that, or when a send failed
	before   time.Duration // its clock before the wait
	wait     time.Duration // how long that is to be
	stalls   time.Duration // what it stood still, as far as it counts
	draining bool
	leaving  bool // it has told everybody to go

	orders []func(b *broker) // of operators, for its next turn

	restarts func() // what happens once it has ended
}

func (w *world) startBroker() {
	w.brokers++
	b := &broker{process: w.newProcess("broker"), epoch: uint64(w.brokers), listening: true}
	cfg := w.plan.core
	cfg.Epoch, cfg.MaxMessage = b.epoch, w.plan.limit(w.brokers)
	b.core = core.New(cfg, 0)
	b.turns = core.NewTurns(b.core, core.TurnConfig{Dialects: prv1, DrainTimeout: w.plan.drainTimeout})
	b.turn, b.deadline = b.runTurn, func() (time.Duration, bool) { return b.before + b.wait, true }
	w.broker = b
	for i := range w.net.ports {
		w.net.ports[i] = newPort()
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

// runTurn is package broker's loop: it reads, decides and sends, and may stand
// still in between.
func (b *broker) runTurn() {
	var in [2][]packet
	found := [2]bool{true, true}
	for at := range b.inbox {
		n := len(b.inbox[at])
		if !b.w.net.calm && n > 1 && b.w.chance(20) { // what is more comes with the next turn
			n, found[at] = n/2, false
		}
		in[at] = b.inbox[at][:n:n]
		b.inbox[at] = b.inbox[at][n:]
	}
	read := b.clock()
	b.seam(0, true, func() {
		if b.clock()-read > b.w.plan.core.Heartbeat && b.core.Gauges().Assigned > 0 {
			b.w.oracle.saw(seenStopBeforeDeciding)
		}
		b.decide(in, found)
	})
}

func (b *broker) decide(in [2][]packet, found [2]bool) {
	b.now = b.clock()
	b.at = b.now
	stood := b.stood()
	if stood > b.w.plan.core.Heartbeat && len(in[0])+len(in[1]) == 0 && b.core.Gauges().Assigned > 0 {
		b.w.oracle.saw(seenEmptyWakeUp)
	}
	b.told(b.turns.Begin(b.now, b.before, b.wait, b.out))
	if told := b.turns.Stood(); told > 0 {
		b.w.script("stopped %v", told)
		if told > b.w.plan.core.Heartbeat {
			b.stalls += told
		}
	}
	b.w.oracle.brokerTurns(stood, b.turns.Stood())
	if b.draining {
		b.told(b.turns.Drain(b.now, b.out))
	}
	for at := range in {
		b.take(protocol.Port(at), in[at])
	}
	b.obey()
	b.told(b.turns.End(found, b.out))
	b.w.oracle.balance(b)
	b.checkCore()
	b.seam(1, len(b.out) > 0, func() {
		if b.clock()-b.now > b.w.plan.core.Heartbeat && b.core.Gauges().Assigned > 0 {
			b.w.oracle.saw(seenStopBeforeSending)
		}
		b.do()
		for at := range in {
			spoil(in[at])
		}
		b.before = b.clock()
		b.wait = b.turns.Wait(b.before)
		if b.turns.Over(b.before) {
			b.w.oracle.checked(g14)
			b.die(true)
		}
		b.turned(!found[0] || !found[1] || len(b.inbox[0])+len(b.inbox[1]) > 0)
	})
}

// spoil writes over what was lent: what the core keeps of it, it has copied.
func spoil(in []packet) {
	for i := range in {
		for _, f := range in[i].frames {
			if len(f) < core.LentMax {
				clear(f)
			}
		}
	}
}

func (b *broker) checkCore() {
	if !b.w.looks() {
		return
	}
	b.w.oracle.checked(gMachines)
	if err := b.core.Check(); err != nil {
		b.w.fail("machines: the core's invariants: %v", err)
	}
}

// told takes what the core has put out beyond what is known.
func (b *broker) told(out []core.Output) {
	known := len(b.out)
	b.out = out
	b.w.oracle.brokerDecides(b, b.out[known:])
	b.leaving = b.leaving || b.draining && b.w.oracle.leaves(b.out[known:])
	for i := known; i < len(out); i++ {
		o := &out[i]
		b.w.scriptOutput(o)
		switch o.Kind {
		case core.Send:
			b.w.oracle.sends(b, o)
		case core.Drop:
			b.w.oracle.brokerDrops(b, &o.Event)
		case core.Note:
			b.w.oracle.brokerNotes(b, &o.Event)
		}
	}
	b.w.oracle.callEnds()
}

// take passes what was read from one port to the core.
func (b *broker) take(at protocol.Port, in []packet) {
	for i := range in {
		p := &in[i]
		if p.kind == link.Disconnected {
			peer := core.Peer{Port: at}
			if b.w.plan.seed%2 == 0 { // one transport names it, the other does not
				peer.ID = []byte(p.conn.s.id)
			}
			b.w.script("disconnected")
			b.told(b.core.Disconnected(b.now, peer, b.out))
			continue
		}
		b.hears(at, p)
		out, _ := b.turns.Read(at, []byte(p.conn.s.id), p.frames, b.out)
		b.told(out)
	}
}

// prv1 is all that is spoken here. What looks like anything else is garbage.
const prv1 = protocol.Dialects(1 << protocol.PRV1)

// hears tells the oracle what comes next.
func (b *broker) hears(at protocol.Port, p *packet) {
	var m protocol.Message
	switch o, err := protocol.Read(at, p.frames, prv1, &m); {
	case err != nil && p.conn.s.worker != nil && p.conn.s.worker.mangled(p.msg):
		b.hearsMangled(p)
	case err != nil && (p.conn.s.worker != nil || p.conn.s.client != nil):
		b.w.fail("machines: the broker cannot read what %s says: %v", p.conn.s.name, err)
	case err != nil:
	case o.Worker:
		b.w.scriptWorker(p.conn.s.name, &m)
		b.w.oracle.brokerReadsWorker(b, p, &m)
	default:
		b.w.scriptClient(p.conn.s.name, &m)
		b.w.oracle.brokerReadsClient(b, p, &m)
	}
}

// do is package broker's loop.deliver.
func (b *broker) do() {
	for i := 0; i < len(b.out); i++ { // it grows while it is walked
		if b.out[i].Kind == core.Send {
			b.send(i)
		}
	}
	clear(b.out)
	b.out = b.out[:0]
}

func (b *broker) send(i int) {
	o := &b.out[i]
	n := &b.w.net
	to := protocol.Origin{Dialect: o.To.Dialect, Worker: o.Side == core.Back, Envelope: o.To.Envelope}
	if to.Dialect != protocol.PRV1 { // garbage: package broker is silent too
		return
	}
	if to.Worker {
		o.Msg.SentMS = uint32(b.now / time.Millisecond)
	}
	b.frames, b.buf = protocol.Append(b.frames[:0], b.buf[:0], &to, &o.Msg)
	c := n.ports[o.Side].peers[string(o.To.ID)]
	full := c != nil && o.Side == core.Back && n.fullOne > 0 && !n.calm && b.w.chance(n.fullOne)
	if c != nil && c.isFull() {
		full = true
		b.w.oracle.saw(seenFullReader)
	}
	if c != nil && !full {
		c.push(down, packet{kind: link.Data, frames: copyFrames(b.frames), msg: copyMessage(&o.Msg)})
		if o.Msg.Flags.Has(protocol.ReplayOnly) && o.Side == core.Back && !n.calm && b.w.chance(8) {
			b.w.trace.faults[cutWorker]++ // where it hurts
			c.s.fault(b.w, c.s.seat(), (*conn).cut)
		}
		return
	}
	if seat := seatOf(c); full && seat != nil {
		seat.trouble(b.w.now, b.w.now+2*b.w.plan.core.Heartbeat, "full")
	}
	b.w.oracle.undeliverable(b, o, c == nil)
	side, peer, msg := o.Side, o.To, o.Msg
	b.at = b.clock() // it failed now, however long ago it was decided
	b.told(b.core.Undeliverable(b.at, side, peer, &msg, c == nil, b.out))
}

// drain is SIGTERM.
func (b *broker) drain() {
	if b.draining {
		return
	}
	b.draining = true
	b.w.oracle.mustEnd(&b.process, b.w.plan.drainTimeout+brokerFarewell+time.Second, "it is open still")
	b.w.script("drain")
	b.wake()
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
			c.leaves()
			c.dead = true
			if !orderly && w.chance(2) {
				c.lose(down)
			}
			at := max(w.now+w.net.delay(c.s.path, down), c.last[down]+time.Microsecond)
			w.at(at, c.peerHears)
		}
		w.net.ports[side] = newPort()
	}
	if b.restarts != nil {
		b.restarts()
	}
}
