package core

import (
	"bytes"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// A spender is a core with one worker and one client, whose bodies are large.
type spender struct {
	t         *testing.T
	c         *Core
	seq, sent uint32
	last      protocol.Message // handed out
}

func newSpender(t *testing.T) *spender {
	cfg := testConfig()
	cfg.MaxAttempts, cfg.ReplayBytes, cfg.MaxMessage, cfg.MaxQueueBytes = 1, 3*LentMax, 1<<20, 1<<30
	s := &spender{t: t, c: New(cfg, 0)}
	s.work(protocol.Message{Command: protocol.Ready, Instance: 1, Credit: 1, Flags: protocol.Last, Services: [][]byte{[]byte("s")}})
	s.work(protocol.Message{Command: protocol.Heartbeat, Credit: 1})
	return s
}

func largeBody(b byte) [][]byte { return [][]byte{bytes.Repeat([]byte{b}, LentMax), []byte("small")} }

func (s *spender) take(out []Output) {
	for _, o := range out {
		if o.Kind == Send && o.Side == Back {
			s.sent++
			if o.Msg.Command == protocol.Request {
				s.last = o.Msg
			}
		}
	}
}

func (s *spender) work(m protocol.Message) {
	s.seq++
	m.Link, m.Seq, m.Ack, m.Epoch = 1, s.seq, s.sent, s.c.cfg.Epoch
	s.take(s.c.Worker(0, Peer{ID: []byte("w")}, &m, nil))
}

func (s *spender) client(m protocol.Message, dialect protocol.Dialect) {
	m.Number, m.Instance, m.RemainingMS, m.Service = 1, 1, 60_000, []byte("s")
	s.take(s.c.Client(0, Peer{ID: []byte("c"), Dialect: dialect}, &m, nil))
}

func (s *spender) ask(n int, dialect protocol.Dialect) {
	s.client(protocol.Message{Command: protocol.Request, ID: numbered(n), Body: largeBody(byte(n))}, dialect)
}

func (s *spender) reply(n int, code protocol.Code) {
	s.work(protocol.Message{Command: protocol.Reply, Code: code, ID: s.last.ID, Number: s.last.Number, Body: largeBody(byte(100 + n))})
}

// want compares what is given back at the next Tick, by its first bytes.
func (s *spender) want(at time.Duration, want ...byte) (list [][]byte) {
	s.t.Helper()
	if early := s.c.Spent(); len(early) > 0 {
		s.t.Fatalf("%d given back before the Tick", len(early))
	}
	s.take(s.c.Tick(at, nil))
	var got []byte
	for _, b := range s.c.Spent() {
		got, list = append(got, b[0]), append(list, b)
	}
	if !bytes.Equal(got, want) {
		s.t.Fatalf("given back %v, want %v", got, want)
	}
	return list
}

// Large slices are given back when they are of no use, not before: outputs may
// need them until the next Tick.
func TestSpent(t *testing.T) {
	s := newSpender(t)
	s.ask(1, protocol.PRV1)
	s.want(0)
	s.reply(1, protocol.OK) // its reply is kept
	s.want(0, 1)
	s.ask(2, protocol.Plain)
	s.reply(2, protocol.OK) // nobody can ask for it again
	s.want(0, 102, 2)
	s.ask(3, protocol.PRV1)
	s.reply(3, protocol.OK)
	s.ask(4, protocol.PRV1)
	s.reply(4, protocol.OK) // the oldest reply makes room
	s.want(0, 101, 3, 4)
	s.ask(6, protocol.PRV1)
	s.client(protocol.Message{Command: protocol.Cancel, ID: numbered(6)}, protocol.PRV1)
	if s.last.Body[0][0] != 6 || string(s.last.Body[1]) != "small" {
		t.Fatal("a hand-over changed after its request was withdrawn, in the same turn")
	}
	s.want(0, 6)
	later := s.c.cfg.ReplayWindow + 2*time.Minute
	s.want(later) // forgotten in this Tick
	s.want(later, 104, 103)
}

// A dead letter's body is never given back: whoever has listed it may read it
// still, after it was queued again and answered.
func TestDeadLettersAreNotSpent(t *testing.T) {
	s := newSpender(t)
	s.ask(5, protocol.PRV1)
	s.reply(5, protocol.Retry) // given up
	s.want(0)
	listed := s.c.DeadLetters()
	if len(listed) != 1 || listed[0].Body[0][0] != 5 {
		t.Fatalf("dead letters %v", listed)
	}
	out, ok := s.c.RequeueDead(0, numbered(5), numbered(50), nil)
	if s.take(out); !ok {
		t.Fatal("not queued again")
	}
	s.reply(50, protocol.OK)
	for _, b := range s.want(0, 5) {
		clear(b)
	}
	if !bytes.Equal(listed[0].Body[0], largeBody(5)[0]) {
		t.Fatal("a listed dead letter was written over")
	}
}
