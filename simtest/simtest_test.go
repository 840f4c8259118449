package simtest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/simtest"
	"github.com/privateer-mq/privateer/worker"
)

// A recorder is a test that notes how it ends.
type recorder struct {
	testing.TB
	failed       bool
	logged, text string
}

func (r *recorder) Helper()                         {}
func (r *recorder) Name() string                    { return "TestRecorded" }
func (r *recorder) Failed() bool                    { return r.failed }
func (r *recorder) Logf(format string, args ...any) { r.logged += fmt.Sprintf(format, args...) + "\n" }
func (r *recorder) Fatalf(format string, args ...any) {
	r.failed, r.text = true, fmt.Sprintf(format, args...)
}

// A counter counts how often each request was done.
type counter map[protocol.ID]int

func (c counter) handle(_ context.Context, r *worker.Request) ([]byte, error) {
	c[r.ID]++
	return r.Body(), nil
}

func (c counter) onceEach(history []simtest.Outcome) error {
	for _, o := range history {
		if n := c[o.ID]; n > 1 {
			return o.Errorf("done %d times", n)
		}
	}
	return nil
}

// play runs cfg with c as its store, and returns how the test would have ended.
func play(c counter, cfg simtest.Config) *recorder {
	if cfg.Check == nil {
		cfg.Check = c.onceEach
	}
	if cfg.Handler == nil {
		cfg.Handler = worker.HandlerFunc(c.handle)
	}
	cfg.Reset = func() { clear(c) }
	r := &recorder{}
	simtest.Run(r, cfg)
	return r
}

// Wherever the seeds begin, a hundred of them find a handler that counts each
// run; and the failure says what happened.
func TestNaiveHandlerIsFound(t *testing.T) {
	for i := range uint64(20) {
		r := play(counter{}, simtest.Config{Seed: 1 + 1000*i})
		for _, want := range []string{"done ", "\n  run 1: worker w", "\n  run 2: ", "MaybeRerun true", "again: go test -run '^TestRecorded$', with Seed: "} {
			if !strings.Contains(r.text, want) {
				t.Fatalf("seeds from %d: no %q in:\n%s", 1+1000*i, want, r.text)
			}
		}
		if strings.Contains(r.text, "more than once") || strings.Count(r.text, "\nrequest ") != 1 {
			t.Fatalf("not about one request:\n%s", r.text)
		}
	}
}

func TestFailureIsPlayedAgain(t *testing.T) {
	first := play(counter{}, simtest.Config{})
	var seed uint64
	_, after, _ := strings.Cut(first.text, "with Seed: ")
	if _, err := fmt.Sscan(after, &seed); err != nil || seed == 0 {
		t.Fatalf("no seed in %q", first.text)
	}
	if again := play(counter{}, simtest.Config{Seed: seed, Seeds: 1}); again.text != first.text {
		t.Errorf("first:\n%s\nagain:\n%s", first.text, again.text)
	}
	var base uint64
	if n, err := fmt.Sscanf(first.logged, "simtest: 100 seeds from %d", &base); n != 1 || err != nil || seed < base || seed >= base+100 {
		t.Errorf("logged %q, and seed %d failed", first.logged, seed)
	}
}

// Keyed by the request's id, or asked for at most once, the work is done once.
func TestSafeHandlersPass(t *testing.T) {
	c := counter{}
	keyed := worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) {
		c[r.ID] = 1
		return r.Body(), nil
	})
	atMostOnce := func(i int) simtest.Request { return simtest.Request{Body: []byte{byte(i)}, AtMostOnce: true} }
	for name, r := range map[string]*recorder{
		"keyed":        play(c, simtest.Config{Handler: keyed, Seed: 1, Seeds: 40}),
		"at most once": play(counter{}, simtest.Config{Requests: atMostOnce, Seed: 1}),
	} {
		if r.failed {
			t.Errorf("%s: %s", name, r.text)
		}
	}
}

func TestSameSeedSameWay(t *testing.T) {
	story := func(seed uint64) (text string) {
		var c counter = map[protocol.ID]int{}
		handler := func(ctx context.Context, r *worker.Request) ([]byte, error) {
			text += fmt.Sprintln(r.ID, r.Attempt, r.MaybeRerun, context.Cause(ctx))
			return c.handle(ctx, r)
		}
		check := func(history []simtest.Outcome) error {
			for _, o := range history {
				text += o.String() + "\n"
			}
			return nil
		}
		play(c, simtest.Config{Handler: worker.HandlerFunc(handler), Check: check, Seed: seed, Seeds: 1})
		return text
	}
	seen := map[string]bool{}
	for seed := uint64(1); seed <= 10; seed++ {
		a, b := story(seed), story(seed)
		if a != b {
			t.Errorf("seed %d went two ways", seed)
		}
		if seen[a] || a == "" {
			t.Errorf("seed %d tells nothing new", seed)
		}
		seen[a] = true
	}
}

// What must occur in the default number of seeds, or handlers would pass that
// were never tried.
func TestWhatHappens(t *testing.T) {
	causes := map[error]int{}
	ids := map[protocol.ID]bool{}
	seen := map[string]int{}
	handler := func(ctx context.Context, r *worker.Request) ([]byte, error) {
		if d, ok := ctx.Deadline(); !ok || !d.Equal(r.Deadline) {
			t.Errorf("deadline %v, %t, want %v", d, ok, r.Deadline)
		}
		switch cause := context.Cause(ctx); {
		case (cause == nil) != (ctx.Err() == nil):
			t.Errorf("error %v with cause %v", ctx.Err(), cause)
		case cause != nil:
			causes[cause]++
			return nil, ctx.Err()
		case time.Until(r.Deadline) < -time.Second:
			t.Errorf("deadline %v ago, and the context has not ended", -time.Until(r.Deadline))
		}
		return append([]byte("did "), r.Body()...), nil
	}
	check := func(history []simtest.Outcome) error {
		for i, o := range history {
			if ids[o.ID] {
				return o.Errorf("its id has been in another seed")
			}
			ids[o.ID] = true
			if o.Number != i || o.Request.Service != "default" || string(o.Request.Body) != fmt.Sprint("request ", i) {
				return o.Errorf("it is number %d", i)
			}
			count := func(what string, is bool) {
				if is {
					seen[what]++
				}
			}
			count("OK", o.Code == protocol.OK && string(o.Body()) == "did "+string(o.Request.Body))
			count("another reply", o.Code == protocol.OK && string(o.Body()) != "did "+string(o.Request.Body))
			count("OK, handled twice", o.Code == protocol.OK && o.Calls > 1)
			count("killed before the handler was called", o.Runs > o.Calls)
			count("killed after it was called", strings.Contains(o.String(), "before that was sent"))
			count("sent in vain", o.Code == protocol.OK && o.Calls > 1 && !strings.Contains(o.String(), "killed"))
			count("never started, and known to be", o.Certainty == protocol.NotStarted && o.Runs == 0)
			count("started, and said not to be", o.Certainty == protocol.NotStarted && o.Runs > 0)
			count("never called, and said to have run", o.Certainty == protocol.Ran && o.Runs == 0)
			count("nobody heard", o.Code == protocol.CodeNone)
			count("expired", o.Code == protocol.Expired)
			count("withdrawn", o.Code == protocol.Cancelled)
		}
		return nil
	}
	var r recorder
	simtest.Run(&r, simtest.Config{Handler: worker.HandlerFunc(handler), Check: check, Seed: 450})
	if r.failed {
		t.Error(r.text)
	}
	t.Log(seen, causes)
	for _, never := range []string{"another reply", "started, and said not to be", "never called, and said to have run"} {
		if seen[never] > 0 {
			t.Errorf("%s: %d", never, seen[never])
		}
		delete(seen, never)
	}
	for _, often := range []string{"killed before the handler was called", "killed after it was called"} {
		if seen[often] < 40 {
			t.Errorf("%s: only %d", often, seen[often])
		}
	}
	if len(seen) != 9 {
		t.Errorf("seen only %v", seen)
	}
	for _, cause := range []error{worker.ErrWithdrawn, worker.ErrExpired, worker.ErrLeaseOver, worker.ErrTaskTimeout} {
		if causes[cause] == 0 {
			t.Errorf("no context ended because %v", cause)
		}
	}
}

// What a handler returns means the same as in production.
func TestResults(t *testing.T) {
	calls := map[protocol.ID]int{}
	kinds := []string{"ok", "error", "reject", "panic", "goexit", "retry once", "retry always", "nothing", "frames", "too large"}
	handler := func(_ context.Context, r *worker.Request) ([][]byte, error) {
		calls[r.ID]++
		switch string(r.Body()) {
		case "error":
			return nil, fmt.Errorf("wrapped: %w", errors.New("boom"))
		case "reject":
			return nil, fmt.Errorf("wrapped: %w", worker.Reject("no-stock", "sold out"))
		case "panic":
			panic("boom")
		case "goexit":
			runtime.Goexit()
		case "retry once":
			if calls[r.ID] == 1 {
				return nil, worker.Retry(errors.New("not yet"))
			}
		case "retry always":
			return nil, worker.Retry(errors.New("not yet"))
		case "nothing":
			return nil, nil
		case "frames":
			return [][]byte{nil, []byte("second"), {}}, nil
		case "too large":
			return [][]byte{make([]byte, 1<<20+1)}, nil
		}
		return [][]byte{[]byte("done")}, nil
	}
	want := map[string]string{
		"ok": "OK: 1 done", "error": "FAILED: wrapped: boom", "reject": "FAILED: no-stock: sold out", "panic": "FAILED: panic: boom",
		"goexit": "FAILED: panic: handler ended its goroutine", "retry once": "OK: 1 done", "retry always": "FAILED: not yet",
		"nothing": "OK: 0 ", "frames": "OK: 3 ", "too large": "FAILED: reply of 1048577 bytes is over the broker's limit of 1048576",
	}
	seen := map[string]int{}
	check := func(history []simtest.Outcome) error {
		for _, o := range history {
			kind, got := string(o.Request.Body), ""
			switch {
			case o.Code == protocol.OK:
				got = fmt.Sprintf("OK: %d %s", len(o.Frames), o.Body())
			case o.Code != protocol.Failed:
				continue // a fault's doing
			case o.HandlerCode != "":
				got = fmt.Sprintf("FAILED: %s: %s", o.HandlerCode, o.Message)
			default:
				got = "FAILED: " + o.Message
			}
			if kind == "retry once" && got == "FAILED: not yet" {
				continue // other attempts were lost, so that none was left
			}
			if seen[kind]++; got != want[kind] {
				return o.Errorf("%s: got %q, want %q", kind, got, want[kind])
			}
			if o.Calls != calls[o.ID] || kind == "retry once" && o.Code == protocol.OK && o.Calls < 2 {
				return o.Errorf("%d calls, and %d are told", calls[o.ID], o.Calls)
			}
		}
		return nil
	}
	var r recorder
	simtest.Run(&r, simtest.Config{
		Handler: worker.FramesFunc(handler), Check: check, Reset: func() { clear(calls) }, Seed: 1,
		Requests: func(i int) simtest.Request {
			return simtest.Request{Service: fmt.Sprint("s", i%3), Body: []byte(kinds[i%len(kinds)])}
		},
	})
	if r.failed {
		t.Error(r.text)
	}
	for _, kind := range kinds {
		if seen[kind] < 100 {
			t.Errorf("%s: seen %d times", kind, seen[kind])
		}
	}
}

// A handler and a Check may fail the test themselves.
func TestTestIsFailedMeanwhile(t *testing.T) {
	r := &recorder{}
	fails := worker.HandlerFunc(func(context.Context, *worker.Request) ([]byte, error) {
		r.failed = true
		runtime.Goexit() // as FailNow does
		return nil, nil
	})
	simtest.Run(r, simtest.Config{Handler: fails, Check: counter{}.onceEach, Seed: 7})
	if !strings.Contains(r.text, "seed 7: the test has been failed meanwhile") {
		t.Errorf("got %q", r.text)
	}
}

// An error that names no request brings the stories of those that ran twice.
func TestErrorAboutNoRequest(t *testing.T) {
	check := func(history []simtest.Outcome) error {
		for _, o := range history {
			if o.Runs > 1 {
				return errors.New("somewhere")
			}
		}
		return nil
	}
	if r := play(counter{}, simtest.Config{Check: check, Seed: 1}); !strings.Contains(r.text, ": somewhere\nthe requests that were run more than once:\nrequest ") {
		t.Errorf("got %q", r.text)
	}
	check = func([]simtest.Outcome) error { return errors.New("nothing at all") }
	if r := play(counter{}, simtest.Config{Check: check, Seed: 1}); !strings.HasPrefix(r.text, "simtest: seed 1: nothing at all\n") {
		t.Errorf("got %q", r.text)
	}
}

func TestConfigIsChecked(t *testing.T) {
	h, check := worker.HandlerFunc(counter{}.handle), counter{}.onceEach
	asks := func(r simtest.Request) func(int) simtest.Request { return func(int) simtest.Request { return r } }
	for want, cfg := range map[string]simtest.Config{
		"Config.Handler is nil":                {Check: check},
		"Config.Check is nil":                  {Handler: h},
		"Config.Seeds is -1":                   {Handler: h, Check: check, Seeds: -1},
		"Requests(0): service name has a con":  {Handler: h, Check: check, Requests: asks(simtest.Request{Service: "a\n"})},
		"Requests(0): a body of 1048577 bytes": {Handler: h, Check: check, Requests: asks(simtest.Request{Body: make([]byte, 1<<20+1)})},
		"Requests(0): 1025 frames are over":    {Handler: h, Check: check, Requests: asks(simtest.Request{Frames: make([][]byte, 1025)})},
	} {
		r := &recorder{}
		simtest.Run(r, cfg)
		if !strings.Contains(r.text, want) {
			t.Errorf("got %q, want %q", r.text, want)
		}
	}
}
