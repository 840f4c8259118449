package worker_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// The broker goes away without a word while a handler runs: the handler runs
// on, a fresh socket is tried, and the reply reaches the broker's successor.
func TestBrokerRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "restart")
		w := start(t, config(t, "restart"), worker.HandlerFunc(func(ctx context.Context, _ *worker.Request) ([]byte, error) {
			time.Sleep(5 * time.Second)
			return []byte("survived"), ctx.Err()
		}))
		first := b.welcome()
		b.request(1, "")
		b.expect(protocol.Progress)
		b.link.Close()
		time.Sleep(10 * time.Second)
		b.bind("restart")
		b.epoch = 2
		m := b.welcome()
		if waited := b.now() - 10*time.Second; waited > 2*time.Second {
			t.Errorf("back after %v", waited)
		}
		if m.Instance != first.Instance || m.Link <= first.Link || m.Epoch != 1 ||
			len(m.Entries) != 1 || m.Entries[0].State != protocol.Finished || m.Entries[0].Epoch != 1 {
			t.Errorf("READY %+v", m)
		}
		if m := b.reply(1, protocol.OK); string(m.Body[0]) != "survived" || m.Epoch != 1 {
			t.Errorf("reply %+v", m)
		}
		w.leave(b)
		if s := w.Stats(); s.Started != 1 || s.Reconnects == 0 || s.Joined != 2 {
			t.Errorf("stats %+v", s)
		}
	})
}

// Nothing comes from the broker any more, though the connection stands: after
// three heartbeats exactly the worker gives the socket up for a fresh one, with
// a fresh routing id.
func TestSilentBroker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "silent")
		w := start(t, config(t, "silent"), worker.HandlerFunc(echo))
		b.welcome()
		before := slices.Clone(b.peer)
		b.expect(protocol.Ready)
		if b.now() < 3*time.Second || b.now() > 3100*time.Millisecond {
			t.Errorf("READY again at %v", b.now())
		}
		if slices.Equal(before, b.peer) {
			t.Error("the fresh socket has the old routing id")
		}
		_ = w.end() // nobody acknowledges or says good-bye
	})
}

func TestDrain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "drain")
		w := start(t, config(t, "drain"), worker.HandlerFunc(func(ctx context.Context, _ *worker.Request) ([]byte, error) {
			time.Sleep(2 * time.Second)
			return []byte("finished"), ctx.Err()
		}))
		b.welcome()
		b.request(1, "")
		b.request(2, "")
		b.expect(protocol.Progress)
		w.stop()
		b.reply(2, protocol.HandedBack)
		m := b.expect(protocol.Heartbeat)
		if !m.Flags.Has(protocol.Draining) || m.Credit != 0 || b.now() != started {
			t.Errorf("%v: credit %d, flags %b", b.now(), m.Credit, m.Flags)
		}
		b.send(&protocol.Message{Command: protocol.Heartbeat})
		b.reply(1, protocol.OK)
		w.leave(b)
		if b.now() != 2*time.Second {
			t.Errorf("over at %v, want 2s: when the handler had finished", b.now())
		}
	})
}

func TestDrainTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "draintimeout")
		cfg := config(t, "draintimeout")
		cfg.DrainTimeout = 1500 * time.Millisecond
		var cause error
		w := start(t, cfg, worker.HandlerFunc(func(ctx context.Context, _ *worker.Request) ([]byte, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return nil, ctx.Err()
		}))
		b.welcome()
		b.request(1, "")
		b.expect(protocol.Progress)
		w.stop()
		m := b.reply(1, protocol.HandedBack)
		if b.now() != started+1500*time.Millisecond || !m.Flags.Has(protocol.Started) {
			t.Errorf("handed back at %v, flags %b", b.now(), m.Flags)
		}
		w.leave(b)
		if !errors.Is(cause, worker.ErrDraining) {
			t.Errorf("cause %v", cause)
		}
	})
}

// The broker never acknowledges the last reply: Run ends all the same, and
// says so.
func TestDrainUnacknowledged(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "unacknowledged")
		w := start(t, config(t, "unacknowledged"), worker.HandlerFunc(echo))
		b.welcome()
		b.request(1, "")
		b.expect(protocol.Reply)
		w.stop()
		var want *worker.UnacknowledgedError
		if err := <-w.done; !errors.As(err, &want) || want.Replies != 1 {
			t.Errorf("Run returned %v", err)
		}
		if b.now() != 3*time.Second {
			t.Errorf("over at %v, want 3s", b.now())
		}
	})
}

func TestStopWithoutBroker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := start(t, config(t, "nobody"), worker.HandlerFunc(echo))
		time.Sleep(time.Minute)
		began := time.Now()
		w.stop()
		if err := <-w.done; err != nil || time.Since(began) > 0 {
			t.Errorf("Run returned %v after %v", err, time.Since(began))
		}
	})
}

// Two brokers share the handlers: one slot, so the second's request waits, and
// the stuck handler of one lowers the credit at the other.
func TestTwoBrokers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		one, two := newFakeBroker(t, "one"), newFakeBroker(t, "two")
		cfg := worker.Config{Brokers: []string{"mem://one", "mem://two"}, TaskTimeout: time.Second, Logger: logTo(t)}
		w := start(t, cfg, worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) {
			if string(r.Body()) == "stuck" {
				time.Sleep(2500 * time.Millisecond)
			}
			return r.Body(), nil
		}))
		a, b := one.welcome(), two.welcome()
		if a.Instance == b.Instance {
			t.Error("both links have the same instance; two endpoints of one broker would fight")
		}
		one.request(1, "stuck")
		one.expect(protocol.Progress)
		two.request(1, "quick") // the same id at another broker is another request
		one.reply(1, protocol.Timeout)
		if m := two.expect(protocol.Heartbeat); m.Credit != 1 || len(m.Entries) != 1 {
			t.Errorf("%v: credit %d, entries %v", two.now(), m.Credit, m.Entries)
		}
		two.send(&protocol.Message{Command: protocol.Heartbeat})
		if m := two.expect(protocol.Heartbeat); m.Credit != 0 || m.Entries[0].State != protocol.Unstarted {
			t.Errorf("%v: credit %d, entries %v", two.now(), m.Credit, m.Entries)
		}
		two.send(&protocol.Message{Command: protocol.Heartbeat})
		two.reply(1, protocol.OK)
		if two.now() != 2500*time.Millisecond {
			t.Errorf("second request done at %v", two.now())
		}
		w.stop()
		for _, b := range []*fakeBroker{one, two} {
			b.expect(protocol.Disconnect)
			b.send(&protocol.Message{Command: protocol.Disconnect, Code: protocol.ReasonShutdown})
		}
		if err := <-w.done; err != nil {
			t.Error(err)
		}
	})
}

// What has waited longest is started first, whichever broker it came from.
func TestFirstComeFirstServed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		one, two := newFakeBroker(t, "one"), newFakeBroker(t, "two")
		var order []string
		w := start(t, worker.Config{Brokers: []string{"mem://one", "mem://two"}, Logger: logTo(t)},
			worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) {
				order = append(order, string(r.Body())+" "+r.Waited.String())
				time.Sleep(300 * time.Millisecond)
				return nil, nil
			}))
		one.welcome()
		two.welcome()
		for i, b := range []*fakeBroker{one, two, one, two} {
			b.request(byte(i+1), string('a'+rune(i)))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		_ = w.end() // nobody acknowledges or says good-bye
		if got := strings.Join(order, ", "); got != "a 0s, b 299ms, c 598ms, d 897ms" {
			t.Errorf("started, each after it had waited: %s", got)
		}
	})
}

func TestGarbageIsCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "garbage")
		w := start(t, config(t, "garbage"), worker.HandlerFunc(echo))
		b.welcome()
		for i, frames := range [][][]byte{{nil}, {[]byte("PRV1")}, {[]byte("PRV2\x03 from the future")}, {make([]byte, 200), nil}} {
			if err := b.link.Send(b.peer, frames...); err != nil && !errors.Is(err, link.ErrFull) {
				t.Fatal(err)
			}
			b.hand(&protocol.Message{ID: protocol.ID{1}, Number: uint32(i + 1), RemainingMS: 30_000})
			b.reply(1, protocol.OK)
			b.number++ // what is on the wire now belongs to another link: discarded
			b.send(&protocol.Message{Command: protocol.Heartbeat})
			b.number--
			b.out--
			b.send(&protocol.Message{Command: protocol.Disconnect, Code: protocol.ReasonUnknown})
			b.welcome()
		}
		w.leave(b)
		if s := w.Stats(); s.Dropped["malformed"] != 4 || s.Dropped["other-link"] != 4 || s.OK != 1 || s.Replayed != 3 {
			t.Errorf("stats %+v", s)
		}
	})
}
