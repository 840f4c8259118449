package worker_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// beats reads and answers heartbeats of a worker of several brokers until the last one
// to each says credit.
func beats(credit uint32, brokers ...*fakeBroker) {
	said := make([]bool, len(brokers))
	for range 1000 {
		for i, b := range brokers {
			for m := b.next(10 * time.Millisecond); m != nil; m = b.next(0) {
				if m.Command != protocol.Heartbeat {
					b.t.Fatalf("%v: %s", b.now(), m.Command)
				}
				said[i] = m.Credit == credit
				b.send(&protocol.Message{Command: protocol.Heartbeat})
			}
		}
		if !slices.Contains(said, false) {
			return
		}
	}
	brokers[0].t.Fatalf("no credit of %d", credit)
}

// A handler can do nothing for now: its request is another's, and no broker has credit
// for that long; then for one request, until that has shown that the worker works.
func TestHold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := newFakeBroker(t, "hold-a"), newFakeBroker(t, "hold-b")
		var log bytes.Buffer
		holds := []time.Duration{2 * time.Second, 4 * time.Second, 0, time.Second}
		w := start(t, worker.Config{Brokers: []string{"mem://hold-a", "mem://hold-b"}, Concurrency: 4, Logger: zerolog.New(&log)},
			worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) {
				d := holds[0]
				if holds = holds[1:]; d == 0 {
					return nil, nil
				}
				return nil, worker.Hold(errors.New("no database"), d)
			}))
		a.welcome()
		b.welcome()
		for id, d := range []time.Duration{2 * time.Second, 4 * time.Second} {
			a.request(byte(id+1), "x")
			began := a.now()
			if m := a.expect(protocol.Heartbeat); m.Credit != 0 {
				t.Errorf("%v: credit %d", a.now(), m.Credit)
			}
			a.reply(byte(id+1), protocol.HandedBack)
			beats(0, b)
			beats(1, a, b)
			if at := a.now() - began; at < d || at > d+100*time.Millisecond {
				t.Errorf("one request is taken again after %v, want %v", at, d)
			}
		}
		a.request(9, "x")
		a.reply(9, protocol.OK)
		beats(4, a, b)
		a.request(10, "x")
		a.reply(10, protocol.HandedBack)
		w.stop()
		for _, f := range []*fakeBroker{a, b} {
			f.expect(protocol.Disconnect)
			f.send(&protocol.Message{Command: protocol.Disconnect, Code: protocol.ReasonShutdown})
		}
		if err := <-w.done; err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), `"holding"`); n != 3 || strings.Count(log.String(), `"warn"`) != 2 {
			t.Errorf("it says so %d times: %s", n, log.String())
		}
	})
}

// A handler that has sent a part has done something: its request is retried, and
// the worker holds all the same.
func TestHoldAfterAPart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "hold-part")
		w := start(t, config(t, "hold-part"), worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) {
			if err := r.SendPart([]byte("part")); err != nil {
				return nil, err
			}
			return nil, worker.Hold(nil, time.Second)
		}))
		b.welcome()
		b.request(1, "x")
		if m := b.expect(protocol.Heartbeat); m.Credit != 0 {
			t.Errorf("credit %d", m.Credit)
		}
		if m := b.reply(1, protocol.Retry); m.Meta.Get(protocol.MetaErrorText) != "the handler can do nothing for now" {
			t.Errorf("%+v", m)
		}
		w.leave(b)
	})
}
