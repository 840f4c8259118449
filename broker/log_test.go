package broker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/internal/core"
)

// TestFloodOfLines: whatever peers do, the log stays readable and says what it has left out.
func TestFloodOfLines(t *testing.T) {
	const flood = 5000
	for _, what := range []core.What{core.EventWorkerReady, core.EventWorkerLost, core.EventWorkerLeft, core.EventWorkerSuspect,
		core.EventProtocol, core.EventLinkReset, core.EventNoRoom, core.EventDeadLetter} {
		for name, worker := range map[string]func(i int) uint64{
			"ever new workers": func(i int) uint64 { return uint64(i + 1) },
			"one worker":       func(int) uint64 { return 7 },
			"no worker":        func(int) uint64 { return 0 },
		} {
			t.Run(string(what)+"/"+name, func(t *testing.T) {
				var log bytes.Buffer
				l := &loop{cfg: &Config{Logger: zerolog.New(&log)}, start: time.Now()}
				for i := range flood {
					l.note(&core.Event{What: what, Worker: worker(i), Reason: "again"})
				}
				l.noteHeld(time.Hour)
				lines, left := 0, 0
				for line := range strings.Lines(log.String()) {
					var entry struct {
						State, Message string
						Suppressed     int
					}
					if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.State != string(what) {
						t.Fatalf("line %q: %v", line, err)
					}
					if entry.Suppressed == 0 {
						lines++
					} else if left += entry.Suppressed; entry.Message != fmt.Sprintf("%s … and %s more", what, thousands(entry.Suppressed)) {
						t.Errorf("it says %q", entry.Message)
					}
				}
				if lines == 0 || lines > 200 || lines+left != flood {
					t.Errorf("%d lines and %d left out, of %d", lines, left, flood)
				}
			})
		}
	}
}

// TestRates: what a rate lets through at once and after a rest, and that one worker
// does not use up the lines of all.
func TestRates(t *testing.T) {
	var l limiter
	count := func(worker uint64, now time.Duration) (n int) {
		for range 1000 {
			if l.allow(core.EventWorkerLost, worker, now) {
				n++
			}
		}
		return n
	}
	all := allRates[core.EventWorkerLost].burst
	if n := count(1, 0); n != workerRate.burst {
		t.Errorf("%d lines about one worker at once, want %d", n, workerRate.burst)
	}
	others := 0
	for w := range uint64(1000) {
		others += min(count(w+2, 0), 1000)
	}
	if want := all - workerRate.burst; others != want {
		t.Errorf("%d lines about the others, want %d", others, want)
	}
	if n := count(1, 3*time.Second); n != 3 {
		t.Errorf("%d lines about one worker in three seconds, want 3", n)
	}
	if held := l.takeHeld(4 * time.Second); len(held) != 1 || held[0].lines != 1000*1002-all-3 {
		t.Errorf("held back: %v", held)
	}
	if held := l.takeHeld(time.Hour); held != nil {
		t.Errorf("held back: %v", held)
	}
	if !l.allow(core.EventDraining, 0, 0) {
		t.Error("what no peer can cause is held back")
	}
	for n, want := range map[int]string{0: "0", 999: "999", 3211: "3,211", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q", n, got)
		}
	}
}
