package worker_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

func echo(_ context.Context, r *worker.Request) ([]byte, error) { return r.Body(), nil }

func config(t *testing.T, name string) worker.Config {
	return worker.Config{Brokers: []string{"mem://" + name}, Logger: logTo(t)}
}

func TestEcho(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "echo")
		w := start(t, config(t, "echo"), worker.HandlerFunc(echo))
		if m := b.welcome(); m.Credit != 1 || string(m.Services[0]) != "default" || !m.Flags.Has(protocol.Last) || m.Instance == 0 {
			t.Errorf("READY: %+v", m)
		}
		b.request(1, "hello")
		if m := b.reply(1, protocol.OK); string(m.Body[0]) != "hello" {
			t.Errorf("reply %q", m.Body)
		}
		if b.now() != 0 {
			t.Errorf("it took %v; nothing here takes time", b.now())
		}
		w.leave(b)
		if s := w.Stats(); s.OK != 1 || s.Started != 1 || s.Running != 0 || s.Joined != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

// What a handler returns, and what the broker is told.
func TestOutcomes(t *testing.T) {
	tests := map[string]struct {
		handler    worker.FramesFunc
		code       protocol.Code
		text       string
		workerCode string
	}{
		"frames": {func(context.Context, *worker.Request) ([][]byte, error) { return [][]byte{{1}, nil, {2}}, nil }, protocol.OK, "", ""},
		"none":   {func(context.Context, *worker.Request) ([][]byte, error) { return nil, nil }, protocol.OK, "", ""},
		"error": {func(context.Context, *worker.Request) ([][]byte, error) { return nil, errors.New("broken") },
			protocol.Failed, "broken", ""},
		"reject": {func(context.Context, *worker.Request) ([][]byte, error) {
			return nil, worker.Reject("E42", "not today")
		},
			protocol.Failed, "not today", "E42"},
		"retry": {func(context.Context, *worker.Request) ([][]byte, error) { return nil, worker.Retry(errors.New("busy")) },
			protocol.Retry, "busy", ""},
		"panic": {func(context.Context, *worker.Request) ([][]byte, error) { panic("help") }, protocol.Failed, "panic: help", ""},
		"too large": {func(context.Context, *worker.Request) ([][]byte, error) { return [][]byte{make([]byte, 1001)}, nil },
			protocol.Failed, "reply of 1001 bytes is over the broker's limit of 1000", ""},
		"too many frames": {func(context.Context, *worker.Request) ([][]byte, error) { return make([][]byte, 17), nil },
			protocol.Failed, "reply of 17 frames is over the broker's limit of 16", ""},
		"too many headers": {func(_ context.Context, r *worker.Request) ([][]byte, error) {
			r.SetReplyHeader("k", strings.Repeat("v", protocol.MetaBytesMax))
			return nil, nil
		}, protocol.Failed, "reply headers of 8197 bytes are over the limit of 8192", ""},
		"long error": {func(context.Context, *worker.Request) ([][]byte, error) {
			return nil, errors.New("x" + strings.Repeat("é", 3000))
		}, protocol.Failed, "x" + strings.Repeat("é", 2046) + "…", ""},
		"long error and headers": {func(_ context.Context, r *worker.Request) ([][]byte, error) {
			r.SetReplyHeader("k", strings.Repeat("v", 5000))
			return nil, worker.Reject("E42", strings.Repeat("x", 4000))
		}, protocol.Failed, strings.Repeat("x", 4000) + " [reply headers of 9014 bytes are over the limit of 8192]", "E42"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := newFakeBroker(t, "outcomes")
				w := start(t, config(t, "outcomes"), tt.handler)
				b.welcome()
				b.request(1, "")
				m := b.reply(1, tt.code)
				if got := m.Meta.Get(protocol.MetaErrorText); got != tt.text {
					t.Errorf("error text %q, want %q", got, tt.text)
				}
				if got := m.Meta.Get(protocol.MetaErrorCode); got != tt.workerCode {
					t.Errorf("error code %q, want %q", got, tt.workerCode)
				}
				b.request(2, "the worker lives") // and answers as before
				b.reply(2, tt.code)
				w.leave(b)
			})
		})
	}
}

func TestRequestAndHeaders(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "headers")
		var got *worker.Request
		w := start(t, config(t, "headers"), worker.HandlerFunc(func(ctx context.Context, r *worker.Request) ([]byte, error) {
			got = r
			if d, ok := ctx.Deadline(); !ok || !d.Equal(r.Deadline) {
				t.Errorf("context ends at %v, request at %v", d, r.Deadline)
			}
			r.SetReplyHeader("a", "1")
			r.SetReplyHeader("b", "2")
			r.SetReplyHeader("a", "3")
			return nil, nil
		}))
		b.welcome()
		meta := protocol.Meta(nil).AppendHeader("tenant", "x").Append(protocol.MetaTrace, "00-trace").AppendHeader("tenant", "y")
		b.hand(&protocol.Message{ID: protocol.ID{1}, Number: 3, Flags: protocol.MaybeRerun, RemainingMS: 5000, WaitedMS: 1500, Meta: meta,
			Body: [][]byte{[]byte("one"), []byte("two")}})
		m := b.reply(1, protocol.OK)
		if m.Number != 3 {
			t.Errorf("reply of attempt %d", m.Number)
		}
		var headers []worker.Header
		for k, v := range m.Meta.Headers() {
			headers = append(headers, worker.Header{Key: k, Value: v})
		}
		if want := []worker.Header{{Key: "a", Value: "3"}, {Key: "b", Value: "2"}}; !slices.Equal(headers, want) {
			t.Errorf("reply headers %v, want %v", headers, want)
		}
		if got.Attempt != 3 || !got.MaybeRerun || got.Service != "default" || string(got.Body()) != "one" || len(got.Frames) != 2 ||
			!slices.Equal(got.Headers, []worker.Header{{Key: "tenant", Value: "x"}, {Key: "tenant", Value: "y"}}) ||
			got.Deadline.Sub(b.start) != 5*time.Second || got.Waited != 1500*time.Millisecond || got.Trace != "00-trace" {
			t.Errorf("request %+v", got)
		}
		w.leave(b)
	})
}

// A busy handler never looks dead: the loop heartbeats, every second exactly,
// whatever the handler does, and progress travels.
func TestHeartbeatsWhileBusy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "busy")
		w := start(t, config(t, "busy"), worker.HandlerFunc(func(ctx context.Context, r *worker.Request) ([]byte, error) {
			time.Sleep(1500 * time.Millisecond)
			r.Progress()
			time.Sleep(100 * time.Millisecond)
			worker.Progress(ctx) // too soon after the last one to be told
			time.Sleep(1900 * time.Millisecond)
			return nil, nil
		}))
		b.welcome()
		b.request(1, "")
		type seen struct {
			at  time.Duration
			cmd protocol.Command
			ago uint32
		}
		var got []seen
		for len(got) < 6 {
			m := b.next(time.Minute)
			s := seen{b.now(), m.Command, 0}
			if len(m.Entries) == 1 {
				s.ago = m.Entries[0].ProgressMS
			}
			got = append(got, s)
			if m.Command == protocol.Heartbeat {
				b.send(&protocol.Message{Command: protocol.Heartbeat})
			}
		}
		want := []seen{
			{started, protocol.Progress, 0}, {time.Second, protocol.Heartbeat, 1000}, {1500 * time.Millisecond, protocol.Progress, 0},
			{2 * time.Second, protocol.Heartbeat, 400}, {3 * time.Second, protocol.Heartbeat, 1400},
			{3500 * time.Millisecond, protocol.Reply, 0},
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		_ = w.end() // nobody acknowledges or says good-bye
	})
}

func TestConcurrencyAndCredit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "credit")
		cfg := config(t, "credit")
		cfg.Concurrency = 2
		release := make(chan struct{})
		w := start(t, cfg, worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) {
			<-release
			return nil, nil
		}))
		if m := b.welcome(); m.Credit != 2 {
			t.Errorf("credit %d", m.Credit)
		}
		for id := range byte(3) {
			b.request(id+1, "")
		}
		m := b.expect(protocol.Heartbeat)
		states := map[byte]protocol.State{}
		for _, e := range m.Entries {
			states[e.ID[0]] = e.State
		}
		if states[1] != protocol.Running || states[2] != protocol.Running || states[3] != protocol.Unstarted || w.Stats().Running != 2 {
			t.Errorf("states %v, %d running", states, w.Stats().Running)
		}
		close(release)
		for range 3 {
			b.ack(b.expect(protocol.Reply))
		}
		w.leave(b)
	})
}

// Over the task time-out: TIMEOUT at that very moment; the slot stays taken by
// a handler that does not listen, and the credit is 0 until it returns.
func TestTaskTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "timeout")
		cfg := config(t, "timeout")
		cfg.TaskTimeout = 700 * time.Millisecond
		var cause error
		w := start(t, cfg, worker.HandlerFunc(func(ctx context.Context, _ *worker.Request) ([]byte, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			time.Sleep(4 * time.Second) // does not care
			return nil, nil
		}))
		b.welcome()
		b.request(1, "")
		b.reply(1, protocol.Timeout)
		if b.now() != 700*time.Millisecond {
			t.Errorf("TIMEOUT at %v", b.now())
		}
		if m := b.expect(protocol.Heartbeat); m.Credit != 0 || len(m.Entries) != 0 || b.now() != time.Second {
			t.Errorf("%v: credit %d, entries %v", b.now(), m.Credit, m.Entries)
		}
		for {
			b.send(&protocol.Message{Command: protocol.Heartbeat})
			m := b.expect(protocol.Heartbeat)
			if m.Credit == 1 {
				break
			}
		}
		if b.now() != 4700*time.Millisecond {
			t.Errorf("credit is back at %v, want 4.7s: when the handler has returned", b.now())
		}
		if s := w.Stats(); s.TimedOut != 1 || s.Ignored != 1 || s.Late != 1 {
			t.Errorf("stats %+v", s)
		}
		w.leave(b)
		if !errors.Is(cause, worker.ErrTaskTimeout) {
			t.Errorf("cause %v", cause)
		}
	})
}

func TestDeadlineEndsTheContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "deadline")
		w := start(t, config(t, "deadline"), worker.HandlerFunc(func(ctx context.Context, r *worker.Request) ([]byte, error) {
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), worker.ErrExpired) || !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				t.Errorf("cause %v", context.Cause(ctx))
			}
			if string(r.Body()) == "succeed" {
				return []byte("late, but done"), nil
			}
			return nil, ctx.Err()
		}))
		b.welcome()
		b.hand(&protocol.Message{ID: protocol.ID{1}, Number: 1, RemainingMS: 300})
		m := b.reply(1, protocol.Expired)
		if b.now() != 300*time.Millisecond || !m.Flags.Has(protocol.Started) {
			t.Errorf("EXPIRED at %v, flags %b", b.now(), m.Flags)
		}
		b.hand(&protocol.Message{ID: protocol.ID{2}, Number: 1, RemainingMS: 300, Body: [][]byte{[]byte("succeed")}})
		b.reply(2, protocol.OK)
		w.leave(b)
	})
}

func TestCancel(t *testing.T) {
	for reason, want := range map[protocol.Code]error{
		protocol.ReasonWithdrawn: worker.ErrWithdrawn, protocol.ReasonExpired: worker.ErrExpired,
		protocol.ReasonLease: worker.ErrLeaseOver, protocol.ReasonSuperseded: worker.ErrSuperseded,
	} {
		bubble(t, func(t *testing.T) {
			b := newFakeBroker(t, "cancel")
			var cause error
			w := start(t, config(t, "cancel"), worker.HandlerFunc(func(ctx context.Context, _ *worker.Request) ([]byte, error) {
				<-ctx.Done()
				cause = context.Cause(ctx)
				return nil, ctx.Err()
			}))
			b.welcome()
			b.request(1, "")
			b.expect(protocol.Progress)
			b.send(&protocol.Message{Command: protocol.Cancel, Code: reason, ID: protocol.ID{1}, Number: 1, Epoch: 1})
			m := b.expect(protocol.Reply)
			b.ack(m)
			if !m.Flags.Has(protocol.CtxCancelled) || m.Code == protocol.OK {
				t.Errorf("%v: reply %s, flags %b", want, m.Code, m.Flags)
			}
			w.leave(b)
			if !errors.Is(cause, want) {
				t.Errorf("cause %v, want %v", cause, want)
			}
		})
	}
}
