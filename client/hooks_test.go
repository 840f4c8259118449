package client

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// noted returns Hooks that write down what they are told. Only the loop writes;
// read it after Close.
func noted(notes *[]string) Hooks {
	note := func(format string, args ...any) { *notes = append(*notes, fmt.Sprintf(format, args...)) }
	return Hooks{
		Connect:    func(b string) { note("connect %s", b) },
		Disconnect: func(b string) { note("disconnect %s", b) },
		Restart:    func(b string) { note("restart %s", b) },
		Retry: func(id protocol.ID, try int, b, why string) {
			if id.IsZero() {
				note("no id")
			}
			note("try %d at %s: %s", try, b, why)
		},
		Outcome: func(o Outcome) {
			note("%s: %v, %v, attempt %d, %d tries at %s", o.Service, o.Code, o.Certainty, o.Attempt, o.Tries, o.Broker)
		},
	}
}

// A try in silence, one refused, and one that is answered by a broker that was
// restarted; Ping is nobody's outcome.
func TestHooks(t *testing.T) {
	var notes []string
	bubble(t, Config{Hooks: noted(&notes), Timeout: time.Second}, func(t *testing.T, do doer) {
		notes = nil
		n := 0
		startFake(t, endpoint, 7, func(f *fake, q *asked) {
			switch n++; n {
			case 1:
				f.accept2(q)
			case 2:
				f.reply(q, protocol.Overloaded, protocol.NotStarted)
			default:
				f.epoch = 8
				f.echo(q)
			}
		})
		if _, err := do.Do(context.Background(), Request{Service: "s", Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		if c, ok := do.(*Client); ok {
			if _, err := c.Ping(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		_, err := do.Do(context.Background(), Request{Service: ""})
		certain(t, err, ErrInvalid, protocol.NotStarted)
		_, err = do.Do(context.Background(), Request{Service: "s", Deadline: -1}) // is not told
		certain(t, err, ErrInvalid, protocol.NotStarted)
		do.Close()
		notes = slices.DeleteFunc(notes, func(s string) bool { return s == "connect "+endpoint })
		want := []string{"try 2 at mem://broker: no answer", "try 3 at mem://broker: refused", "restart mem://broker",
			"s: OK, ran, attempt 1, 3 tries at mem://broker", ": INVALID, not-started, attempt 0, 0 tries at "}
		if !slices.Equal(notes, want) {
			t.Errorf("told\n%q, want\n%q", notes, want)
		}
	})
}

// A broker that goes and comes back: the request is asked again.
func TestHooksDisconnect(t *testing.T) {
	var notes []string
	bubble(t, Config{Hooks: noted(&notes)}, func(t *testing.T, do doer) {
		notes = nil
		f := startFake(t, endpoint, 7, func(f *fake, q *asked) { f.accept2(q) })
		ended := make(chan error)
		go func() {
			_, err := do.Do(context.Background(), Request{Service: "s"})
			ended <- err
		}()
		time.Sleep(100 * time.Millisecond)
		f.kill()
		startFake(t, endpoint, 7, nil)
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		do.Close()
		want := []string{"connect mem://broker", "disconnect mem://broker", "connect mem://broker",
			"try 2 at mem://broker: connection lost", "s: OK, ran, attempt 1, 2 tries at mem://broker"}
		if !slices.Equal(notes, want) {
			t.Errorf("told\n%q, want\n%q", notes, want)
		}
	})
}
