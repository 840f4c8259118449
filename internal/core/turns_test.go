package core

import (
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A driver of Turns with a clock of its own and one worker.
type driver struct {
	core         *Core
	turns        *Turns
	clock        time.Duration
	before, wait time.Duration
	seq          uint32
	out          []Output
}

func newDriver(heartbeat time.Duration) *driver {
	cfg := testConfig()
	cfg.Heartbeat = heartbeat
	d := &driver{core: New(cfg, 0)}
	d.turns = NewTurns(d.core, TurnConfig{Dialects: 1 << protocol.PRV1, DrainTimeout: time.Second})
	d.turn(true, d.message(protocol.Message{Command: protocol.Ready, Instance: 5, Credit: 1, Flags: protocol.Last, Services: [][]byte{[]byte("s")}}))
	d.turn(true, d.beat())
	return d
}

func (d *driver) message(m protocol.Message) [][]byte {
	d.seq++
	m.Link, m.Seq, m.Epoch = 1, d.seq, d.core.cfg.Epoch
	if d.seq > 1 {
		m.Ack = 1
	}
	return [][]byte{protocol.AppendHeader(nil, protocol.BackIn, &m)}
}

func (d *driver) beat() [][]byte {
	return d.message(protocol.Message{Command: protocol.Heartbeat, Credit: 1})
}

// turn decides on what was read just now, and waits.
func (d *driver) turn(empty bool, in ...[][]byte) {
	d.out = d.turns.Begin(d.clock, d.before, d.wait, d.out[:0])
	for _, frames := range in {
		d.out, _ = d.turns.Read(protocol.BackPort, []byte("w"), frames, d.out)
	}
	d.out = d.turns.End([2]bool{true, empty}, d.out)
}

// sleep is the wait, after which the clock has gone on by so much.
func (d *driver) sleep(passed time.Duration) {
	d.before, d.wait = d.clock, d.turns.Wait(d.clock)
	d.clock += passed
}

func (d *driver) lost() bool { return d.core.Gauges().Workers == 0 }

// Wherever a broker stands still, nobody is to blame for it: all its workers have
// said something meanwhile that it has not read.
func TestStopsWithinATurn(t *testing.T) {
	const beat, stop = time.Second, 5 * time.Second
	for _, test := range []struct {
		name string
		stop func(d *driver)
	}{
		{"in the wait", func(d *driver) { d.sleep(stop); d.turn(true) }},
		{"between reading and deciding", func(d *driver) {
			d.sleep(time.Millisecond)
			d.clock += stop // read already, and empty
			d.turn(true)
		}},
		{"between deciding and sending", func(d *driver) {
			d.sleep(time.Millisecond)
			d.turn(true)
			d.clock += stop
			d.sleep(time.Millisecond)
			d.turn(true)
		}},
		{"in three turns of a second and more each", func(d *driver) {
			for range 3 {
				d.sleep(beat + 200*time.Millisecond)
				d.turn(true)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDriver(beat)
			d.sleep(time.Millisecond)
			test.stop(d)
			if d.lost() || d.turns.Stood() < beat {
				t.Fatalf("lost %t, the stop is taken for %v", d.lost(), d.turns.Stood())
			}
			for range 25 { // it is judged again, in its time
				d.sleep(100 * time.Millisecond)
				d.turn(true)
			}
			if d.core.Counters().Stops == 0 || d.lost() {
				t.Fatalf("stops %d, lost %t within liveness after the stop", d.core.Counters().Stops, d.lost())
			}
			for range 60 {
				d.sleep(100 * time.Millisecond)
				d.turn(true)
			}
			if !d.lost() {
				t.Fatal("a worker that says nothing for long is not lost")
			}
		})
	}
}

// A heartbeat below 50 ms: a turn that is late by more than one is told.
func TestLateTurnOfAFastHeartbeat(t *testing.T) {
	d := newDriver(10 * time.Millisecond)
	d.sleep(54 * time.Millisecond)
	d.turn(true)
	if d.lost() || d.turns.Stood() != 44*time.Millisecond {
		t.Fatalf("44 ms late: lost %t, told %v", d.lost(), d.turns.Stood())
	}
}

// Silence is judged by when the port was last found empty: while there is more to
// read, nobody has been silent for longer than that.
func TestUnreadIsNotSilent(t *testing.T) {
	d := newDriver(time.Second)
	for range 100 {
		d.sleep(100 * time.Millisecond)
		d.turn(false)
	}
	if d.lost() {
		t.Fatal("lost though not all was read")
	}
	if n := d.core.Counters().Stops; n != 0 {
		t.Fatalf("%d stops", n)
	}
	d.turn(true)
	if d.sleep(100 * time.Millisecond); d.lost() {
		t.Fatal("not empty until now, and lost at once")
	}
	d.turn(true)
	if !d.lost() {
		t.Fatal("all is read, it has said nothing for ten seconds, and it is not lost")
	}
}

// However busy the front is, a worker that says nothing is found out.
func TestFloodHidesNoSilence(t *testing.T) {
	d := newDriver(time.Second)
	for range 40 {
		d.sleep(100 * time.Millisecond)
		d.out = d.turns.Begin(d.clock, d.before, d.wait, d.out[:0])
		d.out = d.turns.End([2]bool{false, true}, d.out)
	}
	if !d.lost() {
		t.Fatal("the worker has said nothing for four seconds, and the front was never empty")
	}
}

// What came while a turn waited has not waited for that turn: a stop before the
// wait is over.
func TestStopBeforeTheWaitAgesNothing(t *testing.T) {
	for _, test := range []struct {
		waited, want time.Duration
	}{
		{time.Millisecond, 633 * time.Millisecond}, // it may have come during the stop
		{90 * time.Millisecond, 700 * time.Millisecond},
	} {
		d := newDriver(time.Second)
		d.sleep(time.Millisecond)
		d.turn(true)
		d.clock += 67 * time.Millisecond
		d.sleep(test.waited)
		d.out = d.turns.Begin(d.clock, d.before, d.wait, d.out[:0])
		id := protocol.ID{1}
		m := protocol.Message{Command: protocol.Request, ID: id, Number: 1, Instance: 9, RemainingMS: 700, Service: []byte("s")}
		front := [][]byte{nil, protocol.AppendHeader(nil, protocol.FrontIn, &m), m.Service, []byte("body")}
		d.out, _ = d.turns.Read(protocol.FrontPort, []byte("c"), front, d.out)
		d.out = d.turns.End([2]bool{true, true}, d.out)
		r := d.core.requests[id]
		if r == nil {
			t.Fatal("not taken")
		}
		if left := r.deadline - d.clock; left != test.want {
			t.Errorf("asked %v after the stop: %v left, want %v", test.waited, left, test.want)
		}
	}
}
