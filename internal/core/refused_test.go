package core

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// refusals is a broker with a worker at its back port, and what the worker's
// client has heard.
type refusals struct {
	*driver
	t *testing.T
}

func newRefusals(t *testing.T) *refusals {
	return &refusals{newDriver(time.Second), t}
}

func (r *refusals) ask(id byte) {
	m := protocol.Message{Command: protocol.Request, ID: protocol.ID{id}, Number: 1, Instance: 7, RemainingMS: 9000, Service: []byte("s"),
		Flags: protocol.Partial}
	m.Stream.Grant = 4
	frames := [][]byte{nil, protocol.AppendHeader(nil, protocol.FrontIn, &m)}
	r.out, _ = r.turns.Read(protocol.FrontPort, []byte("c"), frames, r.out[:0])
	if n := len(r.sent(Back, protocol.Request)); n != 1 {
		r.t.Fatalf("request %d: handed out %d times", id, n)
	}
}

// answers lets the worker answer attempt 1 of a request, and change what it says.
func (r *refusals) answers(id byte, m protocol.Message, change func(frames [][]byte) [][]byte) (err error) {
	m.Command, m.ID, m.Number = protocol.Reply, protocol.ID{id}, 1
	frames := append(r.message(m), m.Body...)
	if change != nil {
		frames = change(frames)
	}
	r.out, err = r.turns.Read(protocol.BackPort, []byte("w"), frames, r.out[:0])
	return err
}

func (r *refusals) sent(side Side, command protocol.Command) (list []*protocol.Message) {
	for i := range r.out {
		if o := &r.out[i]; o.Kind == Send && o.Side == side && o.Msg.Command == command {
			list = append(list, &o.Msg)
		}
	}
	return list
}

// A REPLY that cannot be taken ends the attempt that it names, once, and costs
// its worker nothing: the next message of the link is taken.
func TestRefusedReplies(t *testing.T) {
	ok := protocol.Message{Code: protocol.OK}
	for _, test := range []struct {
		name   string
		reply  protocol.Message
		change func(frames [][]byte) [][]byte
		code   protocol.Code
		text   string
	}{
		{"meta over its limit", protocol.Message{Code: protocol.Failed, Meta: protocol.Meta(nil).AppendHeader("k", strings.Repeat("v", 9000))},
			nil, protocol.Failed, "end-to-end fields over 8192 bytes"},
		{"meta cut short", ok, func(f [][]byte) [][]byte { return [][]byte{append(f[0], 128, 0)} }, protocol.Failed, "cut short"},
		{"too many frames", protocol.Message{Code: protocol.OK, Body: make([][]byte, protocol.FramesMax+1)}, nil, protocol.Failed, "1024 body frames"},
		{"no code of a worker", protocol.Message{Code: protocol.NoService}, nil, protocol.Failed, "NO_SERVICE is no code for a worker's REPLY"},
		{"a part without a number", protocol.Message{Code: protocol.OK, Flags: protocol.Partial}, nil, protocol.Failed, "a part of a reply"},
		{"body over the limit", protocol.Message{Code: protocol.OK, Body: [][]byte{make([]byte, 700<<10), make([]byte, 700<<10)}}, nil,
			protocol.Failed, "over this broker's limit of"},
		{"a part over the limit", protocol.Message{Code: protocol.OK, Flags: protocol.Partial, Stream: protocol.Stream{Run: 1, Part: 1},
			Body: [][]byte{make([]byte, 1<<20), {1}}}, nil, protocol.Failed, "over this broker's limit of"},
		{"GONE, and its field is broken", protocol.Message{Code: protocol.Gone}, func(f [][]byte) [][]byte { return [][]byte{append(f[0], 128, 0)} },
			protocol.Gone, goneText},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRefusals(t)
			r.ask(1)
			err := r.answers(1, test.reply, test.change)
			replies := r.sent(Front, protocol.Reply)
			if len(replies) != 1 || replies[0].Code != test.code || !strings.Contains(replies[0].Meta.Get(protocol.MetaErrorText), test.text) {
				t.Fatalf("the client hears %+v (%v)", replies, err)
			}
			if got := r.sent(Back, protocol.Disconnect); len(got) > 0 {
				t.Errorf("its worker is told to go: %+v", got)
			}
			if r.turn(true, r.beat()); len(r.sent(Back, protocol.Disconnect)) > 0 || r.lost() {
				t.Error("the link of its worker is over")
			}
			r.ask(2)
			if err := r.answers(2, ok, nil); err != nil || len(r.sent(Front, protocol.Reply)) != 1 {
				t.Errorf("the next reply is worth nothing (%v)", err)
			}
			if err := r.core.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A REPLY that names no attempt is answered as any other breach of the protocol.
func TestRefusedRepliesWithoutAttempt(t *testing.T) {
	for name, change := range map[string]func(h []byte) []byte{
		"no id":           func(h []byte) []byte { clear(h[8:24]); return h },
		"no attempt":      func(h []byte) []byte { clear(h[24:28]); return h },
		"no epoch":        func(h []byte) []byte { clear(h[28:36]); return h },
		"no link":         func(h []byte) []byte { clear(h[44:48]); return h },
		"no number":       func(h []byte) []byte { clear(h[48:52]); return h },
		"a short header":  func(h []byte) []byte { return h[:40] },
		"another version": func(h []byte) []byte { h[3]++; return h },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRefusals(t)
			r.ask(1)
			err := r.answers(1, protocol.Message{Code: protocol.OK}, func(f [][]byte) [][]byte {
				return [][]byte{change(bytes.Clone(f[0]))}
			})
			if err == nil || len(r.sent(Front, protocol.Reply)) > 0 || len(r.sent(Back, protocol.Disconnect)) != 1 {
				t.Errorf("%v: %+v", err, r.out)
			}
		})
	}
}
