package workercore

import (
	"slices"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A duo is a worker of two brokers, a and b, both joined.
type duo struct {
	t     *testing.T
	turns *Turns
	now   time.Duration
	seq   [2]uint32
}

func newDuo(t *testing.T) *duo {
	cfg := Config{Instance: 1, Services: []string{"s"}, Concurrency: 1}
	d := &duo{t: t, turns: NewTurns(1, New(cfg, 0), New(cfg, 0))}
	d.turn(true)
	for b := range 2 {
		d.read(b, protocol.Message{Command: protocol.Welcome, Intervals: &protocol.Intervals{HeartbeatMS: 1000, Liveness: 3, ReconnectMaxMS: 2000, RetentionMS: 30_000},
			Limits: &protocol.Limits{MessageBytesMax: 1000, FramesMax: 10}})
	}
	return d
}

// read is a turn in which one message of a broker is read.
func (d *duo) read(broker int, m protocol.Message) []Output {
	d.t.Helper()
	d.seq[broker]++
	m.Link, m.Epoch, m.Seq = 1, uint64(broker+1), d.seq[broker]
	frames, _ := protocol.AppendFrames(nil, nil, protocol.BackOut, &m)
	return d.turn(true, func(out []Output) []Output {
		out, err := d.turns.Read(broker, frames, out)
		if err != nil {
			d.t.Fatal(err)
		}
		return out
	})
}

// turn is one turn of a driver. It returns what came out of it.
func (d *duo) turn(empty bool, inputs ...func([]Output) []Output) []Output {
	d.t.Helper()
	out := d.turns.Begin(d.now, 0, nil)
	for _, input := range inputs {
		out = input(out)
	}
	for b := range 2 {
		if empty {
			d.turns.Emptied(b)
		}
	}
	out = d.turns.End(out)
	done := 0
	do := func() {
		for ; done < len(out); done++ {
			switch o := out[done]; o.Kind {
			case Open:
				out = d.turns.Opened(o.Broker, out)
			case Send:
				if d.turns.Stamp(o.Broker, o.Message) {
					d.turns.Sent(o.Broker, o.Message, true)
				}
			}
		}
	}
	do()
	out = d.turns.Start(d.now, out)
	do()
	if err := d.turns.Check(); err != nil {
		d.t.Fatal(err)
	}
	return out
}

func (d *duo) request(broker int, id byte) protocol.Message {
	return protocol.Message{Command: protocol.Request, ID: protocol.ID{15: id}, Number: 1, Service: []byte("s"),
		RemainingMS: 60_000, Body: [][]byte{{1}}}
}

func started(out []Output) (all []int) {
	for _, o := range out {
		if o.Kind == Start {
			all = append(all, o.Broker)
		}
	}
	return all
}

// The handlers are shared: what waits longest is started first, whichever broker
// it is of, and when one has returned.
func TestTurnsShareHandlers(t *testing.T) {
	d := newDuo(t)
	if got := started(d.read(1, d.request(1, 1))); !slices.Equal(got, []int{1}) {
		t.Fatalf("started for %v", got)
	}
	d.now += time.Millisecond
	d.read(0, d.request(0, 2))
	d.now += time.Millisecond
	if got := started(d.turn(true)); got != nil || d.turns.Waits() {
		t.Fatalf("started for %v while the only handler runs", got)
	}
	for i, broker := range []int{1, 0} { // younger ones
		d.now += time.Millisecond
		d.read(broker, d.request(broker, byte(3+i)))
	}
	for i, want := range []int{0, 1, 0} {
		got := started(d.turn(true, func(out []Output) []Output {
			broker := []int{1, 0, 1}[i]
			return d.turns.Finished(broker, protocol.ID{15: byte(1 + i)}, Result{Code: protocol.OK}, out)
		}))
		if !slices.Equal(got, []int{want}) {
			t.Fatalf("%d: started for %v", i, got)
		}
	}
}

// A broker that is silent has said nothing until its link was found empty, and no
// longer: what it has said may be unread.
func TestSilenceLastsUntilFoundEmpty(t *testing.T) {
	d := newDuo(t)
	lost := func(out []Output) bool {
		return slices.ContainsFunc(out, func(o Output) bool { return o.Kind == Report && o.Event == Reconnecting })
	}
	for range 10 {
		d.now += time.Second
		if lost(d.turn(false)) {
			t.Fatalf("at %v a broker is given up that was not looked at", d.now)
		}
	}
	if !lost(d.turn(true)) {
		t.Error("a silent broker is not given up")
	}
}

// What a list acknowledges it knows of: a request that is received behind it, in the
// same turn, is none that was lost on its way.
func TestListAndAcknowledgementAgree(t *testing.T) {
	d := newDuo(t)
	connected := func(out []Output) []Output { return d.turns.Connected(0, out) }
	d.turn(true, connected)
	d.seq[0]++
	m := d.request(0, 1)
	m.Link, m.Epoch, m.Seq = 1, 1, d.seq[0]
	frames, _ := protocol.AppendFrames(nil, nil, protocol.BackOut, &m)
	out := d.turn(true, connected, func(out []Output) []Output { // connected again: a heartbeat shows what was lost
		out, _ = d.turns.Read(0, frames, out)
		return out
	})
	lists := 0
	for _, o := range out {
		if o.Kind == Send && o.Message.Command == protocol.Heartbeat {
			lists++
			if o.Message.Ack >= m.Seq && len(o.Message.Entries) == 0 {
				t.Errorf("message %d is acknowledged, and not on the list", m.Seq)
			}
		}
	}
	if lists == 0 {
		t.Error("no heartbeat")
	}
}
