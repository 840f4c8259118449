package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

const endpoint = "mem://broker"

// bubble runs test in virtual time, with the two faces of the client in turn.
func bubble(t *testing.T, cfg Config, test func(t *testing.T, do doer)) {
	if cfg.Brokers == nil {
		cfg.Brokers = []string{endpoint}
	}
	t.Run("REQ", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			test(t, c)
		})
	})
	t.Run("DEALER", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p, err := NewPipeline(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			test(t, p)
		})
	})
}

// A doer is a Client or a Pipeline.
type doer interface {
	Do(context.Context, Request) (Reply, error)
	Go(context.Context, Request) *Call
	Ping(context.Context) (Pong, error)
	Results(context.Context, iter.Seq[Request]) iter.Seq2[Result, error]
	Stats() Stats
	Close() error
}

// certain fails t unless err is an *Error with that sentinel and certainty.
func certain(t *testing.T, err, sentinel error, certainty protocol.Certainty) {
	t.Helper()
	_ = details(t, err, sentinel, certainty)
}

// details is certain, and returns the *Error.
func details(t *testing.T, err, sentinel error, certainty protocol.Certainty) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *Error", err)
	}
	if !errors.Is(err, sentinel) || e.Certainty != certainty {
		t.Fatalf("got %v, want %v (%v)", err, sentinel, certainty)
	}
	return e
}

func TestRoundTrip(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		startFake(t, endpoint, 7, func(f *fake, q *asked) {
			q.msg.Meta = nil
			f.echo(q)
		})
		for i := range 3 {
			body := fmt.Appendf(nil, "body %d", i)
			r, err := do.Do(context.Background(), Request{Service: "echo", Body: body})
			if err != nil || !bytes.Equal(r.Body(), body) || r.Tries != 1 || r.Attempt != 1 || r.Broker != endpoint {
				t.Fatalf("got %+v, %v", r, err)
			}
		}
		if s := do.Stats(); s.Links != 1 || s.Tries != 3 || s.Requests != 3 || s.Open != 0 {
			t.Errorf("stats %+v: want 3 tries over one socket", s)
		}
	})
}

func TestHeadersAndFrames(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		f := startFake(t, endpoint, 7, func(f *fake, q *asked) {
			f.send(q, &protocol.Message{Command: protocol.Reply, Code: protocol.OK, Flags: protocol.Flags(0).WithCertainty(protocol.Ran),
				ID: q.msg.ID, Number: q.msg.Number, Body: q.msg.Body, Meta: q.msg.Meta})
		})
		r, err := do.Do(context.Background(), Request{Service: "s", Frames: [][]byte{[]byte("a"), {}, []byte("c")},
			Headers: []Header{{"k", "v"}, {"k", ""}}, Priority: High, NoWait: true, FinishRunning: true})
		if err != nil || fmt.Sprintf("%q %q", r.Frames, r.Headers) != `["a" "" "c"] [{"k" "v"} {"k" ""}]` {
			t.Fatalf("got %q %q, %v", r.Frames, r.Headers, err)
		}
		m := f.messages(protocol.Request)[0].msg
		if m.Code != protocol.PriorityHigh || !m.Flags.Has(protocol.NoWait|protocol.Finish) || m.Flags.Has(protocol.MaybeSent) {
			t.Errorf("sent code %v, flags %b", m.Code, m.Flags)
		}
	})
}

// The whole budget without an answer takes exactly deadline + heartbeat + 250 ms.
func TestSilentBroker(t *testing.T) {
	bubble(t, Config{Timeout: time.Second, Retries: 2, Deadline: 10 * time.Second}, func(t *testing.T, do doer) {
		f := startFake(t, endpoint, 7, func(f *fake, q *asked) {})
		start := time.Now()
		_, err := do.Do(context.Background(), Request{Service: "s"})
		e := details(t, err, ErrUnknown, protocol.MaybeStarted)
		if d := time.Since(start); d != 11250*time.Millisecond {
			t.Errorf("took %v", d)
		}
		if e.Tries != 3 || e.Broker != endpoint {
			t.Errorf("got %+v", e)
		}
		for i, s := range f.messages(protocol.Request) {
			if s.msg.Number != uint32(i+1) || s.msg.Flags.Has(protocol.MaybeSent) != (i > 0) {
				t.Errorf("try %d: number %d, flags %b", i+1, s.msg.Number, s.msg.Flags)
			}
			if want := uint32(3000); (s.msg.InterestMS == want) != (i < 2) {
				t.Errorf("try %d: interest %d", i+1, s.msg.InterestMS)
			}
			if left := 10*time.Second - s.at.Sub(start); time.Duration(s.msg.RemainingMS) != left/time.Millisecond {
				t.Errorf("try %d: remaining %d, want %v", i+1, s.msg.RemainingMS, left)
			}
		}
	})
}

func TestNobodyThere(t *testing.T) {
	bubble(t, Config{Deadline: 10 * time.Second}, func(t *testing.T, do doer) {
		start := time.Now()
		_, err := do.Do(context.Background(), Request{Service: "s"})
		certain(t, err, ErrUnreachable, protocol.NotStarted)
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("took %v, want the deadline", d)
		}
	})
}

func TestBrokerStartedLast(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		go func() {
			time.Sleep(7 * time.Second)
			startFake(t, endpoint, 7, nil)
		}()
		r, err := do.Do(context.Background(), Request{Service: "s", Body: []byte("x")})
		if err != nil || r.Tries != 1 {
			t.Fatalf("got %+v, %v", r, err)
		}
	})
}

func TestInvalidHere(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		for name, r := range map[string]Request{
			"service name is empty":  {},
			"longer than 255":        {Service: strings.Repeat("x", 256)},
			"control character":      {Service: "a\nb"},
			"1025 body frames":       {Service: "s", Frames: make([][]byte, 1025)},
			"headers take over 8192": {Service: "s", Headers: []Header{{"k", strings.Repeat("x", 8192)}}},
			"header key has 256":     {Service: "s", Headers: []Header{{strings.Repeat("x", 256), ""}}},
			"Timeout is -1s":         {Service: "s", Timeout: -time.Second},
			"Deadline is -1s":        {Service: "s", Deadline: -time.Second},
			"both Body and Frames":   {Service: "s", Body: []byte{1}, Frames: [][]byte{{1}}},
			"unknown priority":       {Service: "s", Priority: 3},
		} {
			_, err := do.Do(context.Background(), r)
			e := details(t, err, ErrInvalid, protocol.NotStarted)
			if !strings.Contains(e.Message, name) {
				t.Errorf("%q: message %q", name, e.Message)
			}
		}
	})
}

// A body over the limit that the broker told is refused here; a large one is
// not sent before the limit is known.
func TestTooLarge(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		f := startFake(t, endpoint, 7, nil)
		_, err := do.Do(context.Background(), Request{Service: "s", Body: make([]byte, 1<<20+1)})
		certain(t, err, ErrInvalid, protocol.NotStarted)
		if n := len(f.messages(protocol.Request)); n != 0 {
			t.Errorf("%d sent", n)
		}
		if r, err := do.Do(context.Background(), Request{Service: "s", Body: make([]byte, 1<<20)}); err != nil || len(r.Body()) != 1<<20 {
			t.Errorf("at the limit: %v", err)
		}
	})
}

func TestContextCancelled(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		f := startFake(t, endpoint, 7, func(f *fake, q *asked) {
			if q.msg.Command == protocol.Cancel {
				f.after(20*time.Millisecond, func() { f.echo(q) })
			}
		})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := do.Do(ctx, Request{Service: "s"})
		certain(t, err, ErrExpired, protocol.NotStarted)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v does not wrap the context's error", err)
		}
		// Over REQ the fresh socket needs a moment to connect.
		if d := time.Since(start); d < 1020*time.Millisecond || d > 1022*time.Millisecond {
			t.Errorf("took %v", d)
		}
		if c := f.messages(protocol.Cancel); len(c) != 1 || c[0].msg.Number != 1 || c[0].msg.Instance != f.messages(protocol.Request)[0].msg.Instance {
			t.Errorf("got %+v", c)
		}
	})
}

// A CANCEL without an answer is repeated, but nobody waits for that.
func TestCancelRepeated(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		f := startFake(t, endpoint, 7, func(f *fake, q *asked) {})
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, err := do.Do(ctx, Request{Service: "s"})
		certain(t, err, ErrCancelled, protocol.MaybeStarted)
		if d := time.Since(start); !errors.Is(err, context.Canceled) || d != 1250*time.Millisecond {
			t.Errorf("%v after %v", err, d)
		}
		time.Sleep(time.Second)
		if n := len(f.messages(protocol.Cancel)); n != 3 {
			t.Errorf("%d CANCELs", n)
		}
		if s := do.Stats(); s.Dropped["cancel unanswered"] != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestContextAlreadyDone(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := do.Do(ctx, Request{Service: "s"})
		certain(t, err, context.Canceled, protocol.NotStarted)
		_, err = do.Do(ctx, Request{Service: "s", ID: protocol.ID{1}})
		certain(t, err, ErrCancelled, protocol.MaybeStarted)
	})
}

func TestClose(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		f := startFake(t, endpoint, 7, func(f *fake, q *asked) {})
		ended := make(chan error)
		start := time.Now()
		go func() {
			_, err := do.Do(context.Background(), Request{Service: "s"})
			ended <- err
		}()
		time.Sleep(time.Second)
		go do.Close()
		certain(t, <-ended, ErrClosed, protocol.MaybeStarted)
		if d := time.Since(start); d != time.Second {
			t.Errorf("took %v", d)
		}
		do.Close()
		if d := time.Since(start); d != 1250*time.Millisecond {
			t.Errorf("Close took until %v", d)
		}
		if n := len(f.messages(protocol.Cancel)); n != 1 {
			t.Errorf("%d CANCELs", n)
		}
		_, err := do.Do(context.Background(), Request{Service: "s"})
		certain(t, err, ErrClosed, protocol.NotStarted)
		if s := do.Stats(); s.Requests != 1 || s.Open != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// A broker that is killed and comes back with another epoch loses nothing, and
// can tell that the request was first sent before its time.
func TestBrokerRestart(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, do doer) {
		first := startFake(t, endpoint, 7, func(f *fake, q *asked) {
			if string(q.msg.Service) == "now" {
				f.echo(q)
			}
		})
		if _, err := do.Do(context.Background(), Request{Service: "now"}); err != nil {
			t.Fatal(err)
		}
		restarted := make(chan *fake, 1)
		go func() {
			time.Sleep(time.Second)
			first.kill()
			restarted <- startFake(t, endpoint, 8, nil)
		}()
		start := time.Now()
		r, err := do.Do(context.Background(), Request{Service: "later"})
		if d := time.Since(start); err != nil || r.Tries != 2 || d > 1500*time.Millisecond {
			t.Fatalf("after %v: %+v, %v", d, r, err)
		}
		m := (<-restarted).messages(protocol.Request)[0].msg
		if m.Epoch != 7 || m.Number != 2 || !m.Flags.Has(protocol.MaybeSent) {
			t.Errorf("asked with first_epoch %d, try %d, flags %b", m.Epoch, m.Number, m.Flags)
		}
		if s := do.Stats(); s.Restarts != 1 || s.Cut != 1 || s.TimedOut != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestMaxInFlight(t *testing.T) {
	bubble(t, Config{MaxInFlight: 2}, func(t *testing.T, do doer) {
		startFake(t, endpoint, 7, func(f *fake, q *asked) {
			f.accept2(q)
			f.after(2*time.Second, func() { f.echo(q) })
		})
		start := time.Now()
		ended := make(chan time.Duration)
		for range 4 {
			go func() {
				if _, err := do.Do(context.Background(), Request{Service: "s"}); err != nil {
					t.Error(err)
				}
				ended <- time.Since(start).Round(100 * time.Millisecond)
			}()
		}
		time.Sleep(time.Second)
		_, err := do.Do(context.Background(), Request{Service: "s", Deadline: 500 * time.Millisecond})
		certain(t, err, ErrOverloaded, protocol.NotStarted)
		if d := time.Since(start); d != 1500*time.Millisecond {
			t.Errorf("no place after %v", d)
		}
		for i := range 4 {
			if d, want := <-ended, time.Duration(2+i/2*2)*time.Second; d != want {
				t.Errorf("%v, want %v", d, want)
			}
		}
	})
}

// accept2 answers ACCEPTED where that is welcome.
func (f *fake) accept2(q *asked) {
	if q.msg.Flags.Has(protocol.CanTakeMore) {
		f.accept(q)
	}
}

func TestPing(t *testing.T) {
	bubble(t, Config{Brokers: []string{"mem://none", endpoint}}, func(t *testing.T, do doer) {
		f := startFake(t, endpoint, 7, func(f *fake, q *asked) {
			f.after(3*time.Millisecond, func() { f.echo(q) })
		})
		p, err := do.Ping(context.Background())
		want := Pong{Broker: endpoint, Epoch: 7, Version: 1, RoundTrip: 3 * time.Millisecond, MessageBytesMax: 1 << 20, FramesMax: 1024}
		if err != nil || p != want {
			t.Fatalf("got %+v, %v", p, err)
		}
		f.kill()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err = do.Ping(ctx)
		certain(t, err, context.DeadlineExceeded, protocol.NotStarted)
	})
}

func TestConfig(t *testing.T) {
	for field, cfg := range map[string]Config{
		"Timeout":                    {Timeout: -1},
		"Deadline":                   {Deadline: time.Microsecond},
		"MaxInFlight":                {MaxInFlight: -1},
		"MaxMessage":                 {MaxMessage: -1},
		"Retries":                    {Retries: 1 << 30},
		"Brokers has 17":             {Brokers: make([]string, 17)},
		"Brokers[1] is empty":        {Brokers: []string{"mem://a", ""}},
		"twice":                      {Brokers: []string{"mem://a", "mem://a"}},
		`"a"`:                        {Brokers: []string{"a"}},
		"mem://a":                    {Brokers: []string{"mem://a", "tcp://127.0.0.1:1"}},
		"tcp://127.0.0.1:notanumber": {Brokers: []string{"tcp://127.0.0.1:notanumber"}},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: New says %v", field, err)
		}
		if _, err := NewPipeline(cfg); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: NewPipeline says %v", field, err)
		}
	}
}
