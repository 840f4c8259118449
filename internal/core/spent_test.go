package core

import (
	"bytes"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// Large slices are given back when they are of no use, not before: outputs may
// need them until the next Tick.
func TestSpent(t *testing.T) {
	cfg := testConfig()
	cfg.MaxAttempts, cfg.ReplayBytes, cfg.MaxMessage, cfg.MaxQueueBytes = 1, 3*LentMax, 1<<20, 1<<30
	c := New(cfg, 0)
	large := func(b byte) [][]byte { return [][]byte{bytes.Repeat([]byte{b}, LentMax), []byte("small")} }
	seq, sent := uint32(0), uint32(0)
	var last protocol.Message // handed out
	take := func(out []Output) {
		for _, o := range out {
			if o.Kind == Send && o.Side == Back {
				sent++
				if o.Msg.Command == protocol.Request {
					last = o.Msg
				}
			}
		}
	}
	work := func(m protocol.Message) {
		seq++
		m.Link, m.Seq, m.Ack, m.Epoch = 1, seq, sent, cfg.Epoch
		take(c.Worker(0, Peer{ID: []byte("w")}, &m, nil))
	}
	ask := func(n int, dialect protocol.Dialect) {
		take(c.Client(0, Peer{ID: []byte("c"), Dialect: dialect}, &protocol.Message{Command: protocol.Request, ID: numbered(n), Number: 1,
			Instance: 1, RemainingMS: 60_000, Service: []byte("s"), Body: large(byte(n))}, nil))
	}
	reply := func(n int, code protocol.Code) {
		work(protocol.Message{Command: protocol.Reply, Code: code, ID: numbered(n), Number: last.Number, Body: large(byte(100 + n))})
	}
	spent := func(want ...byte) {
		t.Helper()
		if early := c.Spent(); len(early) > 0 {
			t.Fatalf("%d given back before the Tick", len(early))
		}
		take(c.Tick(0, nil))
		var got []byte
		for _, b := range c.Spent() {
			got = append(got, b[0])
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("given back %v, want %v", got, want)
		}
	}
	work(protocol.Message{Command: protocol.Ready, Instance: 1, Credit: 1, Flags: protocol.Last, Services: [][]byte{[]byte("s")}})
	work(protocol.Message{Command: protocol.Heartbeat, Credit: 1})

	ask(1, protocol.PRV1)
	spent()
	reply(1, protocol.OK) // its reply is kept
	spent(1)
	ask(2, protocol.Plain)
	reply(2, protocol.OK) // nobody can ask for it again
	spent(102, 2)
	ask(3, protocol.PRV1)
	reply(3, protocol.OK)
	ask(4, protocol.PRV1)
	reply(4, protocol.OK) // the oldest reply makes room
	spent(101, 3, 4)
	ask(5, protocol.PRV1)
	reply(5, protocol.Retry) // given up: a dead letter has its body
	spent()
	if d := c.DeadLetters(); len(d) != 1 || d[0].Body[0][0] != 5 {
		t.Fatalf("dead letters %v", d)
	}
	ask(6, protocol.PRV1)
	take(c.Client(0, Peer{ID: []byte("c")}, &protocol.Message{Command: protocol.Cancel, ID: numbered(6), Number: 1, Instance: 1}, nil))
	if last.Body[0][0] != 6 || string(last.Body[1]) != "small" {
		t.Fatal("a hand-over changed after its request was withdrawn, in the same turn")
	}
	spent(6)
	take(c.Tick(cfg.ReplayWindow+2*time.Minute, nil))
	spent(104, 103)
}
