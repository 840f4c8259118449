package worker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// noting is a Middleware that writes down when it is entered and left.
func noting(name string, notes *[]string) worker.Middleware {
	return func(h worker.Handler) worker.Handler {
		return worker.FramesFunc(func(ctx context.Context, r *worker.Request) ([][]byte, error) {
			*notes = append(*notes, name)
			defer func() { *notes = append(*notes, "/"+name) }()
			return h.Handle(ctx, r)
		})
	}
}

func constant(text string) worker.Handler {
	return worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) { return []byte(text), nil })
}

func request(service string) *worker.Request {
	return &worker.Request{ID: protocol.ID{1}, Service: service, Attempt: 2}
}

// rejected fails t unless err is what a client would see as FAILED with code.
func rejected(t *testing.T, err error, code, text string) {
	t.Helper()
	var r *worker.RejectError
	if !errors.As(err, &r) || r.Code != code || !strings.Contains(r.Message, text) {
		t.Errorf("got %v, want code %q with %q", err, code, text)
	}
}

func TestChainOrder(t *testing.T) {
	var notes []string
	h := worker.Chain(constant("x"), noting("a", &notes), noting("b", &notes))
	frames, err := h.Handle(t.Context(), request("s"))
	if err != nil || string(frames[0]) != "x" || fmt.Sprint(notes) != "[a b /b /a]" {
		t.Errorf("%q, %v, in the order %v", frames, err, notes)
	}
}

// What cannot be called is New's error, and nothing panics before that.
func TestMisuse(t *testing.T) {
	ok := constant("x")
	gone := func(worker.Handler) worker.Handler { return nil }
	for _, c := range []struct {
		h    worker.Handler
		want string
	}{
		{nil, "worker.New: handler is nil"},
		{worker.HandlerFunc(nil), "handler is nil"},
		{worker.FramesFunc(nil), "handler is nil"},
		{(*worker.Mux)(nil), "handler is nil"},
		{worker.Handle[int, int](nil), "handler is nil"},
		{worker.HandleStream[int, int](nil), "handler is nil"},
		{worker.Chain(nil, worker.Limit(1)), "handler is nil"},
		{worker.Chain(worker.Handle[int, int](nil), worker.Limit(1)), "handler is nil"},
		{worker.Chain(ok, worker.Limit(1), nil), "middleware 2 is nil"},
		{worker.Chain(ok, gone), "middleware 1: handler is nil"},
		{worker.Chain(ok, worker.Limit(1), worker.Timeout(0)), "middleware 2: worker.Timeout: 0s; want over 0"},
		{worker.Timeout(-1)(ok), "worker.Timeout: -1ns"},
		{worker.Limit(0)(ok), "worker.Limit: 0; want 1 to 4096"},
		{worker.Limit(4097)(ok), "worker.Limit: 4097"},
		{worker.Rate(0, 1)(ok), "perSecond is 0"},
		{worker.Rate(math.NaN(), 1)(ok), "perSecond is NaN"},
		{worker.Rate(math.Inf(1), 1)(ok), "perSecond is +Inf"},
		{worker.Rate(1, 0)(ok), "burst is 0"},
		{worker.Rate(1, 1_000_001)(ok), "burst is 1000001"},
	} {
		if _, err := worker.New(worker.Config{}, c.h); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v; want %q in it", err, c.want)
		}
		if c.h == nil || strings.HasSuffix(c.want, "handler is nil") && !strings.HasPrefix(c.want, "middleware") {
			continue
		}
		if _, err := c.h.Handle(t.Context(), request("s")); err == nil {
			t.Errorf("called all the same, though: %s", c.want)
		}
	}
}

func TestRecover(t *testing.T) {
	var out bytes.Buffer
	h := worker.Chain(worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) {
		return nil, fmt.Errorf("%d", 1/len(r.Frames))
	}), worker.Recover(zerolog.New(&out)))
	_, err := h.Handle(t.Context(), request("div"))
	rejected(t, err, "PANIC", "panic: runtime error: integer divide by zero")
	line := map[string]any{}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line["service"] != "div" || line["level"] != "error" || line["attempt"] != 2.0 || !strings.Contains(line["stack"].(string), "middleware_test.go") {
		t.Errorf("logged %v", line)
	}
	if _, err := worker.Chain(constant("x"), worker.Recover(zerolog.Nop())).Handle(t.Context(), request("s")); err != nil {
		t.Error(err)
	}
}

func TestTimeout(t *testing.T) {
	own := errors.New("own")
	wait := func(ctx context.Context, err error) ([]byte, error) {
		<-ctx.Done()
		if err == nil {
			err = ctx.Err()
		}
		return nil, err
	}
	for _, c := range []struct {
		name       string
		outer      time.Duration // deadline of the request; 0: none
		handler    func(context.Context) ([]byte, error)
		took       time.Duration
		code, text string
		is         error
	}{
		{name: "in time", handler: func(context.Context) ([]byte, error) { return nil, nil }},
		{name: "gives up", handler: func(ctx context.Context) ([]byte, error) { return wait(ctx, nil) },
			took: time.Second, code: "TIMEOUT", text: "after 1s the time-out is over: context deadline exceeded"},
		{name: "gives up with words of its own", handler: func(ctx context.Context) ([]byte, error) { return wait(ctx, own) },
			took: time.Second, code: "TIMEOUT", text: "own"},
		{name: "asks for another attempt", handler: func(ctx context.Context) ([]byte, error) { return wait(ctx, worker.Retry(own)) },
			took: time.Second, is: own},
		{name: "rejects", handler: func(ctx context.Context) ([]byte, error) { return wait(ctx, worker.Reject("MINE", "")) },
			took: time.Second, code: "MINE"},
		{name: "fails in time", handler: func(context.Context) ([]byte, error) { return nil, own }, is: own},
		{name: "deadline first", outer: time.Second / 2, handler: func(ctx context.Context) ([]byte, error) { return wait(ctx, nil) },
			took: time.Second / 2, is: context.DeadlineExceeded},
		{name: "cause", handler: func(ctx context.Context) ([]byte, error) {
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), worker.ErrTimeout) {
				return nil, worker.Reject("CAUSE", fmt.Sprint(context.Cause(ctx)))
			}
			return nil, nil
		}, took: time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.outer > 0 {
					var stop context.CancelFunc
					ctx, stop = context.WithTimeout(ctx, c.outer)
					defer stop()
				}
				start := time.Now()
				// The longer one outside must not take the other's end for its own.
				_, err := worker.Chain(worker.HandlerFunc(func(ctx context.Context, _ *worker.Request) ([]byte, error) { return c.handler(ctx) }),
					worker.Timeout(time.Hour), worker.Timeout(time.Second)).Handle(ctx, request("s"))
				if took := time.Since(start); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				var reject *worker.RejectError
				switch {
				case c.code != "":
					rejected(t, err, c.code, c.text)
				case errors.As(err, &reject) || !errors.Is(err, c.is):
					t.Errorf("got %v, want %v", err, c.is)
				}
			})
		})
	}
}

func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			err  error
			want string
		}{
			{nil, `{"level":"info","service":"s","request_id":"01000000-0000-0000-0000-000000000000","attempt":2,"duration":1500,"outcome":"OK","message":"request handled"}`},
			{errors.New("bad"), `{"level":"warn",…"outcome":"FAILED","error":"bad",…`},
			{worker.Retry(errors.New("busy")), `{"level":"warn",…"outcome":"RETRY","error":"busy",…`},
			{worker.Reject("404", "none"), `{"level":"warn",…"outcome":"FAILED","code":"404","error":"404: none",…`},
		} {
			var out strings.Builder
			h := worker.Chain(worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) {
				time.Sleep(1500 * time.Millisecond)
				return nil, c.err
			}), worker.Log(zerolog.New(&out)))
			if _, err := h.Handle(t.Context(), request("s")); !errors.Is(err, c.err) {
				t.Errorf("%v became %v", c.err, err)
			}
			if strings.Count(out.String(), "\n") != 1 {
				t.Errorf("not one line: %q", out.String())
			}
			for part := range strings.SplitSeq(c.want, "…") {
				if !strings.Contains(out.String(), part) {
					t.Errorf("logged %s want %s", out.String(), c.want)
				}
			}
		}
	})
}

// A panic is logged, and goes on; so is the end of the goroutine.
func TestLogPanic(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("boom") }, "goexit": runtime.Goexit} {
		var out strings.Builder
		h := worker.Chain(worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) {
			end()
			return nil, nil
		}), worker.Log(zerolog.New(&out)))
		var v any
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { v = recover() }()
			_, _ = h.Handle(t.Context(), request("s"))
			t.Error("it returned")
		}()
		<-done
		if (v != nil) != (name == "panic") || !strings.Contains(out.String(), `"outcome":"PANIC"`) {
			t.Errorf("%s: recovered %v, logged %s", name, v, out.String())
		}
	}
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var under, most, called atomic.Int32
		slow := worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) {
			called.Add(1)
			for n := under.Add(1); ; {
				if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
					break
				}
			}
			defer under.Add(-1)
			time.Sleep(time.Second)
			return nil, nil
		})
		limit := worker.Limit(3)
		a, b := limit(slow), limit(slow) // the places are shared
		ctx, stop := context.WithTimeoutCause(t.Context(), 2500*time.Millisecond, worker.ErrWithdrawn)
		defer stop()
		ended := make(chan error)
		for i := range 10 {
			h := a
			if i%2 == 1 {
				h = b
			}
			go func() {
				_, err := h.Handle(ctx, request("s"))
				ended <- err
			}()
		}
		failed := 0
		for range 10 {
			if err := <-ended; err != nil {
				failed++
				if !errors.Is(err, worker.ErrWithdrawn) || !strings.Contains(err.Error(), "no place among the 3 calls") {
					t.Errorf("got %v", err)
				}
			}
		}
		// Three start at 0 s, at 1 s and at 2 s; the tenth would at 3 s.
		if most.Load() != 3 || called.Load() != 9 || failed != 1 {
			t.Errorf("%d at a time, %d called, %d failed", most.Load(), called.Load(), failed)
		}
		if _, err := a.Handle(ctx, request("s")); !errors.Is(err, worker.ErrWithdrawn) || called.Load() != 9 {
			t.Errorf("called though its context had ended: %v", err)
		}
		if _, err := a.Handle(t.Context(), request("s")); err != nil {
			t.Errorf("a place was not given back: %v", err)
		}
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		h := worker.Chain(worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) {
			at = append(at, time.Since(start))
			return nil, nil
		}), worker.Rate(10, 2))
		for range 5 {
			if _, err := h.Handle(t.Context(), request("s")); err != nil {
				t.Fatal(err)
			}
		}
		if fmt.Sprint(at) != "[0s 0s 100ms 200ms 300ms]" {
			t.Errorf("called at %v", at)
		}
		// Its turn is in 100 ms; with 50 ms left it is not waited for.
		ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer stop()
		before := time.Now()
		_, err := h.Handle(ctx, request("s"))
		if err == nil || !strings.Contains(err.Error(), "its turn comes after its deadline") || time.Since(before) != 0 || len(at) != 5 {
			t.Errorf("%v after %v", err, time.Since(before))
		}
		if name := outcome(ctx, t, h); name != "RETRY" {
			t.Errorf("it was no retry but %s", name)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(50*time.Millisecond, func() { cancel(worker.ErrDraining) })
		if _, err := h.Handle(ctx, request("s")); !errors.Is(err, worker.ErrDraining) || len(at) != 5 {
			t.Errorf("got %v", err)
		}
	})
}

// outcome is what Log calls the outcome of h.
func outcome(ctx context.Context, t *testing.T, h worker.Handler) string {
	t.Helper()
	var out bytes.Buffer
	_, _ = worker.Chain(h, worker.Log(zerolog.New(&out))).Handle(ctx, request("s"))
	line := map[string]any{}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	return line["outcome"].(string)
}
