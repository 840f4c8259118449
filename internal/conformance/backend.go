package conformance

import (
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// A backend is the back of a broker, played for one worker.
type backend struct {
	r         *run
	s         *socket
	epoch     uint64
	intervals protocol.Intervals
	limits    protocol.Limits

	welcoming bool // READY is answered
	beating   bool // heartbeats go out
	acking    bool // a reply is acknowledged at once
	frozen    bool // its own ack stays where it is

	peer     []byte // routing id of the worker's socket
	instance uint64
	number   uint32 // of the link
	up       bool   // WELCOME is out
	told     terms  // in it
	sent     uint32
	received uint32
	ack      uint32 // what it says it has received
	beatAt   time.Duration

	heard  []heard
	faults []string // of the worker's counting
	bad    []string // what did not parse
}

// The terms of a link.
type terms struct {
	intervals protocol.Intervals
	limits    protocol.Limits
}

// A heard is one message of a peer.
type heard struct {
	protocol.Message
	at   time.Duration
	peer string
	bad  error // it does not parse; the rest is of no use
}

// What the kit tells workers to live by.
var usual = protocol.Intervals{HeartbeatMS: 100, Liveness: 3, ReconnectMaxMS: 200, RetentionMS: 30_000}

const beat = 100 * time.Millisecond // HeartbeatMS of usual

// usually makes b a broker without faults.
func (b *backend) usually() {
	b.welcoming, b.beating, b.acking, b.frozen = true, true, true, false
	b.intervals, b.limits = usual, limits
}

// silent makes b a broker that says nothing.
func (b *backend) silent() { b.welcoming, b.beating, b.acking = false, false, false }

// take takes what the worker says, and answers it as a broker must.
func (b *backend) take(in link.Message) {
	h := heard{at: b.r.now(), peer: string(in.Peer)}
	if h.bad = protocol.Parse(protocol.BackIn, in.Frames, &h.Message); h.bad != nil {
		b.bad = append(b.bad, fmt.Sprintf("a %d-frame message beginning %.12q: %v", len(in.Frames), in.Frames[0], h.bad))
		b.heard = append(b.heard, h)
		return
	}
	b.heard = append(b.heard, h)
	switch {
	case h.Command == protocol.Ready:
		b.ready(&h)
	case h.Link != b.number || h.peer != string(b.peer):
	case h.Command != protocol.Disconnect:
		b.count(&h)
	}
	if h.Command == protocol.Reply && b.acking && b.up {
		b.acknowledge(&h.Message, 0)
	}
}

// ready begins a link.
func (b *backend) ready(h *heard) {
	if h.Part == 0 {
		if b.instance == h.Instance && h.Link <= b.number {
			b.faults = append(b.faults, fmt.Sprintf("READY of link %d after link %d", h.Link, b.number))
		}
		b.peer, b.instance, b.number = []byte(h.peer), h.Instance, h.Link
		b.sent, b.up = 0, false
	}
	b.received, b.ack = h.Seq, h.Seq
	if h.Flags.Has(protocol.Last) && b.welcoming {
		b.welcome()
	}
}

// count follows the numbers of a link, and notes what is wrong with them.
func (b *backend) count(h *heard) {
	if h.Seq != b.received+1 {
		b.faults = append(b.faults, fmt.Sprintf("%s with seq %d after seq %d", h.Command, h.Seq, b.received))
	}
	if h.Ack > b.sent {
		b.faults = append(b.faults, fmt.Sprintf("%s with ack %d when %d had been sent", h.Command, h.Ack, b.sent))
	}
	b.received = max(b.received, h.Seq)
	if !b.frozen {
		b.ack = b.received
	}
}

// due sends heartbeats.
func (b *backend) due(now time.Duration) {
	if b.beating && b.up && now >= b.beatAt {
		b.beatAt = now + time.Duration(b.intervals.HeartbeatMS)*time.Millisecond
		b.heartbeat()
	}
}

func (b *backend) heartbeat() { b.tell(protocol.Message{Command: protocol.Heartbeat, Epoch: b.epoch}) }

// welcome answers the newest READY.
func (b *backend) welcome() {
	intervals, limits := b.intervals, b.limits
	b.up, b.sent, b.told = true, 0, terms{intervals, limits}
	b.beatAt = b.r.now() + time.Duration(intervals.HeartbeatMS)*time.Millisecond
	b.tell(protocol.Message{Command: protocol.Welcome, Epoch: b.epoch, Intervals: &intervals, Limits: &limits})
}

// tell sends the next message of the link.
func (b *backend) tell(m protocol.Message) {
	b.sent++
	m.Link, m.Seq, m.Ack = b.number, b.sent, b.ack
	b.send(encode(protocol.BackOut, b.stamped(&m)))
}

func (b *backend) stamped(m *protocol.Message) *protocol.Message {
	if m.SentMS == 0 {
		m.SentMS = b.r.stamp()
	}
	return m
}

// send sends frames to the worker. One that is gone hears nothing: that shows.
func (b *backend) send(frames [][]byte) {
	_ = b.s.Send(b.peer, frames...)
}

// disconnect sends DISCONNECT for a link.
func (b *backend) disconnect(reason protocol.Code, number uint32) {
	m := protocol.Message{Command: protocol.Disconnect, Code: reason, Epoch: b.epoch, Link: number, Ack: b.ack}
	b.send(encode(protocol.BackOut, b.stamped(&m)))
}

// acknowledge acknowledges a reply, or another attempt than it has.
func (b *backend) acknowledge(reply *protocol.Message, off uint32) {
	b.tell(protocol.Message{Command: protocol.Ack, Epoch: b.epoch, Acks: []protocol.Acked{{
		ID: reply.ID, Attempt: reply.Number + off, Epoch: reply.Epoch, RemainingMS: 10_000}}})
}

// await waits for the first message since from that is one of those wanted;
// nil if none comes within d.
func (b *backend) await(from int, d time.Duration, wanted func(*heard) bool) (h *heard) {
	b.r.wait(d, func() bool {
		for ; from < len(b.heard); from++ {
			if b.heard[from].bad == nil && wanted(&b.heard[from]) {
				h = &b.heard[from]
				return true
			}
		}
		return false
	})
	return h
}

// mark is where the messages begin that are still to come.
func (b *backend) mark() int { return len(b.heard) }

// since lists the messages since from that are wanted.
func (b *backend) since(from int, wanted func(*heard) bool) (list []*heard) {
	for ; from < len(b.heard); from++ {
		if b.heard[from].bad == nil && wanted(&b.heard[from]) {
			list = append(list, &b.heard[from])
		}
	}
	return list
}

// inStep says HEARTBEAT and waits for one that acknowledges it.
func (b *backend) inStep(d time.Duration) *heard {
	from := b.mark()
	b.heartbeat()
	number, seq := b.number, b.sent
	return b.await(from, d, func(h *heard) bool {
		return h.Command == protocol.Heartbeat && h.Link == number && h.Ack >= seq
	})
}

// settle brings about a link that stands: the one there is, a new one, or one
// on a new socket.
func (b *backend) settle() error {
	b.usually()
	if b.up && b.told == (terms{usual, limits}) && b.inStep(soon/4) != nil {
		return nil
	}
	for _, wait := range []time.Duration{soon, 2 * soon} {
		b.disconnect(protocol.ReasonUnknown, b.number)
		number := b.number
		if b.r.wait(wait, func() bool { return b.up && b.number != number }) && b.inStep(soon) != nil {
			return nil
		}
	}
	return came("no link that stands: the worker does not say READY, or not HEARTBEAT after WELCOME")
}
