package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

func TestLatencies(t *testing.T) {
	var l latencies
	if got := l.quantile(0.5); got != 0 {
		t.Errorf("of nothing: %v, want 0", got)
	}
	for i := range 1000 {
		l.add(time.Duration(i+1) * time.Millisecond)
	}
	l.add(200 * 365 * 24 * time.Hour) // counted, however long
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond} {
		if got := l.quantile(q); got < want || got > want+want/40 {
			t.Errorf("quantile %v: %v, want %v within 2.5%%", q, got, want)
		}
	}
}

// TestWorst: with --repeat, what may have run decides before what ran and
// failed, and that before what did not start.
func TestWorst(t *testing.T) {
	ok := outcome{code: protocol.OK, certainty: protocol.Ran}
	notStarted := outcome{code: protocol.Expired, certainty: protocol.NotStarted}
	ran := outcome{code: protocol.Failed, certainty: protocol.Ran}
	maybe := outcome{code: protocol.WorkerLost, certainty: protocol.MaybeStarted}
	for _, c := range []struct {
		outcomes []outcome
		want     int
	}{
		{nil, exitOK},
		{[]outcome{ok, ok}, exitOK},
		{[]outcome{ok, notStarted, ok}, exitNotStarted},
		{[]outcome{ran, notStarted}, exitFailed},
		{[]outcome{notStarted, maybe, ran}, exitMaybe},
	} {
		tl := newTally()
		for _, o := range c.outcomes {
			tl.add(o)
		}
		got := exitOK
		var e *exit
		if errors.As(tl.worst.exit(), &e) {
			got = e.code
		}
		if got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.outcomes, got, c.want)
		}
	}
}

// TestOutcomeIsOneLine: a message from far away can neither break the line nor
// steer the terminal.
func TestOutcomeIsOneLine(t *testing.T) {
	o := outcome{code: protocol.Failed, certainty: protocol.Ran, attempt: 1, sent: 2, took: 1234 * time.Microsecond,
		handlerCode: "E1\n", message: "first\nsecond\x1b[2J"}
	want := `FAILED ran attempt=1 sent=2 ms=1.2 code="E1\n" message: first; second [2J`
	if got := o.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestTailAndHead(t *testing.T) {
	var tl tail
	for _, s := range []string{"lost", strings.Repeat("a", stderrTailMax), "the end"} {
		_, _ = tl.Write([]byte(s))
	}
	if len(tl.buf) != stderrTailMax || !bytes.HasSuffix(tl.buf, []byte("the end")) {
		t.Errorf("the tail has %d bytes and ends with %q", len(tl.buf), tl.buf[len(tl.buf)-10:])
	}
	over := 0
	h := head{max: 4, over: func() { over++ }}
	for _, s := range []string{"1234", "5"} {
		if n, err := h.Write([]byte(s)); n != len(s) || err != nil {
			t.Errorf("Write: %d, %v", n, err)
		}
	}
	if h.buf.String() != "1234" || over != 1 {
		t.Errorf("the head has %q and called over %d times", h.buf.String(), over)
	}
}
