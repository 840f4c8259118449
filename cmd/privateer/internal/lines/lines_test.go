package lines

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A keeper keeps a log, unless it is held or broken.
type keeper struct {
	mu      sync.Mutex
	held    chan struct{} // nil: it is not held
	entered chan struct{} // closed at the first line; nil: nobody asks
	err     error
	part    int // what it writes of a line before it fails
	text    bytes.Buffer
}

func (k *keeper) Write(b []byte) (int, error) {
	k.mu.Lock()
	held, entered := k.held, k.entered
	k.entered = nil
	k.mu.Unlock()
	if entered != nil {
		close(entered)
	}
	if held != nil {
		<-held
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		n, _ := k.text.Write(b[:min(k.part, len(b))])
		return n, k.err
	}
	return k.text.Write(b)
}

func (k *keeper) set(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

func (k *keeper) String() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.text.String()
}

func tell(w io.Writer, n uint64) { fmt.Fprintf(w, "lost %d\n", n) }

func say(t *testing.T, w io.Writer, line string) {
	t.Helper()
	if n, err := io.WriteString(w, line); n != len(line) || err != nil {
		t.Errorf("Write: %d, %v", n, err)
	}
}

// TestNobodyWaits: while the log stands still, lines are taken up to the bound and
// lost beyond it; afterwards it says, in its place, how many.
func TestNobodyWaits(t *testing.T) {
	entered := make(chan struct{})
	k := &keeper{held: make(chan struct{}), entered: entered}
	w := New(k, tell)
	say(t, w, "first\n")
	<-entered // it stands still in this one
	line := strings.Repeat("x", 1023) + "\n"
	const lines = 3 * queueBytesMax / 1024
	for range lines {
		say(t, w, line)
	}
	lost := w.Lost()
	if lost < lines/3 || lost > lines {
		t.Fatalf("%d of %d lines are lost", lost, lines)
	}
	w.Flush(time.Millisecond) // it gives up
	release := k.held
	k.set(func() { k.held = nil })
	close(release)
	w.Flush(time.Minute)
	say(t, w, "last\n")
	w.Flush(time.Minute)
	got := k.String()
	if !strings.HasPrefix(got, "first\n") || !strings.HasSuffix(got, fmt.Sprintf("x\nlost %d\nlast\n", lost)) {
		t.Errorf("the log is %.20q … %q, want first, lines, lost %d, last", got, got[max(0, len(got)-40):], lost)
	}
	if kept := uint64(strings.Count(got, "x\n")); kept+lost != lines {
		t.Errorf("%d lines written and %d lost, of %d", kept, lost, lines)
	}
}

// TestNobodyReads: lines that cannot be written are counted, and told of once they can.
func TestNobodyReads(t *testing.T) {
	k := &keeper{err: errors.New("broken pipe"), part: 2}
	w := New(k, tell)
	for range 3 {
		say(t, w, "lost\n")
		w.Flush(time.Minute)
	}
	if w.Lost() != 3 {
		t.Errorf("%d lines lost, want 3", w.Lost())
	}
	k.set(func() { k.err = nil; k.text.Reset() })
	say(t, w, "kept\n")
	w.Flush(time.Minute)
	if got := k.String(); got != "lost 3\nkept\n" {
		t.Errorf("the log is %q", got)
	}
}

// A file is a keeper that can be closed.
type file struct {
	keeper
	closed bool
}

func (f *file) Write(b []byte) (int, error) {
	if f.closed {
		return 0, io.ErrClosedPipe
	}
	return f.keeper.Write(b)
}

func (f *file) Close() error { f.closed = true; return nil }

// TestAnotherOut: after To lines go elsewhere, also those that waited; what is under
// way stays where it is, and that is closed afterwards.
func TestAnotherOut(t *testing.T) {
	entered := make(chan struct{})
	a, b := &file{keeper: keeper{held: make(chan struct{}), entered: entered}}, &file{}
	release := a.held
	w := New(a, tell)
	say(t, w, "one\n")
	<-entered
	say(t, w, "two\n")
	w.To(b)
	close(release)
	w.Flush(time.Minute)
	if a.String() != "one\n" || b.String() != "two\n" || w.Lost() != 0 {
		t.Errorf("%q and %q, %d lost", a.String(), b.String(), w.Lost())
	}
	if !a.closed || b.closed {
		t.Errorf("closed: %v and %v, want the first", a.closed, b.closed)
	}
}

// TestFlushIsBounded: a log that stands still for ever does not hold up an end.
func TestFlushIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &Writer{out: &keeper{}, tell: tell, wake: make(chan struct{}, 1)} // nobody writes
		say(t, w, "line\n")
		start := time.Now()
		w.Flush(time.Second)
		if took := time.Since(start); took != time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
