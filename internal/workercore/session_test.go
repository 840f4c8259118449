package workercore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// joinedSession is a session that was just welcomed, with credit n.
func joinedSession(t *testing.T, cfg Config) *driver {
	t.Helper()
	d := &driver{t: t, sendOK: true, openOK: true, trace: &bytes.Buffer{}}
	d.s, d.slots = New(cfg, 0), cfg.Concurrency
	d.runs, d.seq = map[protocol.ID]bool{}, map[uint32]uint32{}
	d.turn(nil)
	d.turn(func() []Output { return d.s.Receive(0, d.message("WELCOME", nil), nil) })
	return d
}

func TestReadyComesInParts(t *testing.T) {
	const n = protocol.EntriesMax*2 + 10
	d := joinedSession(t, Config{Instance: 1, Services: []string{"echo"}, Concurrency: 1, RetainBytes: 1 << 30})
	d.unchecked = true
	for i := range n {
		name := fmt.Sprint(i)
		d.command([]string{"recv", "REQUEST", "id=" + name})
		d.command([]string{"finish", name, "ok"})
		d.command([]string{"recv", "ACK", "acks=" + name + ":1"})
	}
	out := d.s.Receive(d.now, d.message("DISCONNECT", map[string]string{"code": "unknown"}), nil)
	var parts []*protocol.Message
	for _, o := range out {
		if o.Kind == Send {
			if !d.s.Stamp(d.now, o.Message) {
				t.Fatalf("part %d is not to be sent", o.Message.Part)
			}
			d.s.Sent(d.now, o.Message, true)
			parts = append(parts, o.Message)
		}
	}
	sum := 0
	for i, m := range parts {
		if m.Command != protocol.Ready || m.Part != uint32(i) || m.Seq != uint32(i+1) || m.Flags.Has(protocol.Last) != (i == 2) ||
			(len(m.Services) > 0) != (i == 0) || len(m.Entries) > protocol.EntriesMax {
			t.Errorf("part %d: %s", i, describe(m))
		}
		frames, _ := protocol.AppendFrames(nil, nil, protocol.BackIn, m)
		if err := protocol.Parse(protocol.BackIn, frames, &protocol.Message{}); err != nil {
			t.Errorf("part %d: %v", i, err)
		}
		sum += len(m.Entries)
	}
	if len(parts) != 3 || sum != n {
		t.Errorf("%d parts, %d entries", len(parts), sum)
	}
}

// A part of READY that cannot be sent spoils the link: none of it may follow,
// and the next READY is a new link, because a part of this one did leave.
func TestReadyPartThatFails(t *testing.T) {
	d := joinedSession(t, Config{Instance: 1, Services: []string{"echo"}, Concurrency: 1, RetainBytes: 1 << 30})
	d.unchecked = true
	for i := range protocol.EntriesMax*2 + 1 {
		name := fmt.Sprint(i)
		d.command([]string{"recv", "REQUEST", "id=" + name})
		d.command([]string{"finish", name, "ok"})
		d.command([]string{"recv", "ACK", "acks=" + name + ":1"})
	}
	out := d.s.Receive(d.now, d.message("DISCONNECT", map[string]string{"code": "unknown"}), nil)
	var stamped int
	for _, o := range out {
		if o.Kind == Send && d.s.Stamp(d.now, o.Message) {
			stamped++
			d.s.Sent(d.now, o.Message, o.Message.Part != 1)
		}
	}
	if stamped != 2 {
		t.Errorf("%d parts were to be sent; want the first, and the one that failed", stamped)
	}
	out = d.s.Connected(d.now, nil)
	for _, o := range out {
		if o.Kind == Send && o.Message.Link != 3 {
			t.Errorf("next READY is on link %d, want 3", o.Message.Link)
		}
	}
}

// The deadline can pass between the turn's Tick and the start, and a handler
// can return with its context ended though the turn's time is a little before.
func TestDeadlineBetweenTwoLooks(t *testing.T) {
	d := joinedSession(t, Config{Instance: 1, Services: []string{"echo"}, Concurrency: 1, RetainBytes: 1})
	d.slots = 0
	d.command([]string{"recv", "REQUEST", "id=a", "left=1s"})
	out := d.s.StartNext(time.Second, nil)
	if len(out) != 2 || out[0].Event != Answered || out[0].Code != protocol.Expired || out[1].Kind != Send {
		t.Errorf("started at the deadline: %+v", out)
	}
	d.slots = 1
	d.command([]string{"recv", "REQUEST", "id=b", "left=1s"})
	out = d.s.Finished(999*time.Millisecond, id("b"), Result{Code: protocol.Failed, Expired: true}, nil)
	if len(out) != 2 || out[0].Code != protocol.Expired {
		t.Errorf("the context had ended at the deadline, and the answer is %+v", out)
	}
}

// A process can stand still between the turn's look at the clock and the start.
func TestPauseBetweenTwoLooks(t *testing.T) {
	d := joinedSession(t, Config{Instance: 1, Services: []string{"echo"}, Concurrency: 1, RetainBytes: 1})
	d.slots = 0
	d.command([]string{"recv", "REQUEST", "id=a", "left=9s"})
	late := d.now + d.s.heartbeat + 1
	out := d.s.StartNext(late, nil)
	if len(out) != 1 || out[0].Event != Paused || out[0].For != d.s.heartbeat+1 {
		t.Fatalf("after a pause within the turn: %+v", out)
	}
	if _, ok := d.s.Waiting(); ok {
		t.Error("it may be started before a round trip")
	}
	if at, ok := d.s.Deadline(); !ok || at > late {
		t.Errorf("the heartbeat that asks is due at %v, want %v at the latest", at, late)
	}
	d.now, d.slots = late, 1
	d.turn(nil) // the heartbeat
	if d.runs[id("a")] {
		t.Fatal("started before a round trip")
	}
	d.command([]string{"recv", "HEARTBEAT"})
	if !d.runs[id("a")] {
		t.Error("not started after a round trip")
	}
}

func TestDelayForgetsDrift(t *testing.T) {
	var d delay
	now := time.Duration(0)
	sent := 0.0
	// The broker's clock runs 1‰ slow: over an hour by 3.6 s, which must not
	// be taken for time under way.
	for range 3600 {
		now += time.Second
		sent += 999
		if got := d.take(now, uint32(sent), true); got > 100*time.Millisecond {
			t.Fatalf("after %v a message seems to have taken %v", now, got)
		}
	}
	if got := d.take(now+5*time.Second, uint32(sent), false); got < 5*time.Second {
		t.Errorf("a message 5s under way seems to have taken %v", got)
	}
	d = delay{}
	d.take(time.Second, 1<<32-1, false) // clocks wrap
	if got := d.take(3*time.Second, 999, false); got != time.Second {
		t.Errorf("around the wrap: %v, want 1s", got)
	}
}

// TestRandomWalk throws at a session what a mad broker, network and handlers
// could, in any order, and checks after each output that everything adds up,
// that no id is ever run twice at a time, and that it ends when told to.
func TestRandomWalk(t *testing.T) {
	for seed := range uint64(100) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) { walk(t, seed) })
	}
}

func walk(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	cfg := Config{Instance: 1, Services: []string{"echo"}, Concurrency: 1 + r.IntN(3), RetainBytes: int64(r.IntN(40)), IDsMax: 2 + r.IntN(10)}
	if r.IntN(2) == 0 {
		cfg.TaskTimeout = time.Duration(1+r.IntN(3000)) * time.Millisecond
	}
	d := joinedSession(t, cfg)
	for step := range 400 {
		d.sendOK = r.IntN(10) > 0
		d.openOK = r.IntN(5) > 0
		d.jitterMax = r.IntN(2) == 0
		name := string(rune('a' + r.IntN(8)))
		f := map[string]string{
			"id": name, "attempt": fmt.Sprint(1 + r.IntN(30)), "epoch": fmt.Sprint(max(1, d.s.epoch)),
			"left": fmt.Sprintf("%dms", r.IntN(20_000)), "late": fmt.Sprintf("%dms", r.IntN(100)),
			"code": []string{"withdrawn", "expired", "lease", "superseded"}[r.IntN(4)],
		}
		if r.IntN(4) == 0 {
			f["replay-only"] = ""
		}
		switch r.IntN(16) {
		case 0, 1, 2, 3:
			d.turn(func() []Output { return d.s.Receive(d.now, d.message("REQUEST", f), nil) })
		case 4:
			for _, e := range d.s.entries { // any: the seed need not repeat exactly
				f["id"], f["attempt"] = name1(e), fmt.Sprint(e.Attempt)
				f["epoch"] = fmt.Sprint(e.Epoch)
				break
			}
			d.turn(func() []Output { return d.s.Receive(d.now, d.message("CANCEL", f), nil) })
		case 5, 6:
			for e := d.s.finished.first; e != nil; e = e.next {
				f["acks"] += fmt.Sprintf(",%s:%d:@%d", name1(e), e.Attempt, e.Epoch)
				if r.IntN(3) == 0 {
					f["acks"] += ":superseded"
				}
			}
			d.turn(func() []Output { return d.s.Receive(d.now, d.message("HEARTBEAT", f), nil) })
		case 7:
			f["epoch"] = fmt.Sprint(1 + r.IntN(2))
			f["seq"] = "1"
			d.turn(func() []Output { return d.s.Receive(d.now, d.message("WELCOME", f), nil) })
		case 8:
			f["code"] = []string{"unknown", "reset", "shutdown", "full", "unknown"}[r.IntN(5)]
			d.turn(func() []Output { return d.s.Receive(d.now, d.message("DISCONNECT", f), nil) })
		case 9:
			f["seq"] = fmt.Sprint(r.IntN(9))
			d.turn(func() []Output { return d.s.Receive(d.now, d.message("REQUEST", f), nil) })
		case 10, 11:
			for id := range d.runs {
				delete(d.runs, id)
				res := Result{Code: []protocol.Code{protocol.OK, protocol.Failed, protocol.Retry}[r.IntN(3)], Frames: [][]byte{make([]byte, r.IntN(30))}}
				d.turn(func() []Output { return d.s.Finished(d.now, id, res, nil) })
				break
			}
		case 12:
			d.command([]string{"after", fmt.Sprintf("%dms", r.IntN(5000))})
		case 13:
			d.command([]string{"stop", fmt.Sprintf("%dms", r.IntN(9000))})
		case 14:
			d.command([]string{"connected"})
		case 15:
			if step > 300 {
				d.command([]string{"drain", "2s"})
			}
		}
	}
	d.command([]string{"drain", "2s"})
	d.sendOK, d.openOK = true, true
	d.command([]string{"after", "60s"})
	if d.s.phase != ended {
		t.Errorf("not ended but %s, a minute after the drain began", d.s.phase)
	}
}

func name1(e *entry) string { return string(e.ID[15:]) }

// A worker of the largest concurrency promises no more than fits on its list beside what
// it has finished and nobody has acknowledged, and says so when there is room again.
func TestCreditFitsOnTheList(t *testing.T) {
	d := joinedSession(t, Config{Instance: 1, Services: []string{"echo"}, Concurrency: protocol.CreditMax, RetainBytes: 1 << 30})
	d.unchecked = true
	for i := range protocol.CreditMax {
		d.command([]string{"recv", "REQUEST", "id=" + fmt.Sprint(i)})
	}
	finish := func(from, to int) {
		for i := from; i < to; i++ {
			d.command([]string{"finish", fmt.Sprint(i), "ok"})
		}
	}
	finish(0, 100)
	if got := d.s.Credit(); got != protocol.CreditMax-100 {
		t.Errorf("credit %d with 100 unacknowledged replies", got)
	}
	finish(100, protocol.CreditMax)
	if got := d.s.Credit(); got != 0 {
		t.Errorf("credit %d with a list full of replies", got)
	}
	said := false
	for _, o := range d.s.Receive(d.now, d.message("ACK", map[string]string{"acks": "7:1"}), nil) {
		said = said || o.Kind == Send && o.Message.Command == protocol.Heartbeat && o.Message.Credit == 1
	}
	if !said {
		t.Error("an acknowledgement has made room, and nobody is told")
	}
	// One more fits; a kept reply that is asked for may not take that place.
	d.command([]string{"recv", "REQUEST", "id=7", "attempt=2", "replay-only"})
	if d.s.finished.n != protocol.CreditMax-1 {
		t.Errorf("%d replies on the list", d.s.finished.n)
	}
}
