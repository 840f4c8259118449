package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A runLog is a file to which the workers append a line at the start of every
// run, before anything else, and one at its end: what really ran.
type runLog struct {
	t    *testing.T
	path string
}

func newRunLog(t *testing.T) *runLog {
	return &runLog{t: t, path: filepath.Join(t.TempDir(), "runs")}
}

// A run is one call of a handler.
type run struct {
	id      string
	attempt int
	pid     int
	worker  string // pid and number
	body    string // the beginning of the request's first frame
	rerun   bool   // the handler was told that it may have run before
	end     string // how it ended; "" if it has not
}

// runs are the runs by request, each in the order of their starts.
type runs map[string][]*run

// read reads the log as it is now.
func (l *runLog) read() runs {
	l.t.Helper()
	text, err := os.ReadFile(l.path)
	if err != nil && !os.IsNotExist(err) {
		l.t.Fatal(err)
	}
	all := runs{}
	for line := range strings.Lines(string(text)) {
		var what, how string
		r := &run{}
		if n, err := fmt.Sscanf(line, "%s %s %d %d %s %s %q", &what, &r.id, &r.attempt, &r.pid, &r.worker, &how, &r.body); n != 7 {
			l.t.Fatalf("run log: %q: %v", line, err)
		}
		if what == "start" {
			r.rerun = how == "rerun"
			all[r.id] = append(all[r.id], r)
			continue
		}
		found := false
		for _, s := range all[r.id] {
			if s.attempt == r.attempt && s.worker == r.worker && s.end == "" {
				s.end, found = how, true
				break
			}
		}
		if !found {
			l.t.Fatalf("run log: an end without a start: %q", line)
		}
	}
	return all
}

// of returns the runs of one request, which is named by its id or its body.
func (l *runLog) of(key string) []*run {
	l.t.Helper()
	all := l.read()
	if rs := all[key]; rs != nil {
		return rs
	}
	for _, rs := range all {
		if rs[0].body == key {
			return rs
		}
	}
	return nil
}

// awaitStart waits for the n-th start of a request.
func (l *runLog) awaitStart(key string, n int) *run {
	l.t.Helper()
	var rs []*run
	eventually(l.t, patience, fmt.Sprintf("start %d of %s", n, key), func() bool { rs = l.of(key); return len(rs) >= n })
	return rs[n-1]
}

// awaitEnd waits until the n-th run of a request has ended.
func (l *runLog) awaitEnd(key string, n int) *run {
	l.t.Helper()
	l.awaitStart(key, n)
	eventually(l.t, patience, fmt.Sprintf("end of run %d of %s", n, key), func() bool { return l.of(key)[n-1].end != "" })
	return l.of(key)[n-1]
}

// ended is how many runs have ended.
func (l *runLog) ended() (n int) {
	l.t.Helper()
	for _, rs := range l.read() {
		for _, r := range rs {
			if r.end != "" {
				n++
			}
		}
	}
	return n
}

// wantRuns checks how often a request was started.
func (l *runLog) wantRuns(key string, want int) {
	l.t.Helper()
	if rs := l.of(key); len(rs) != want {
		l.t.Errorf("request %s was started %d times, want %d: %s", key, len(rs), want, describe(rs))
	}
}

// wantOnce checks that each of the requests ran exactly once, to its end, and
// that nothing else ran.
func (l *runLog) wantOnce(ids []string) {
	l.t.Helper()
	all := l.read()
	lost, repeated := 0, 0
	for _, id := range ids {
		switch rs := all[id]; {
		case len(rs) == 0 || rs[0].end == "":
			lost++
		case len(rs) > 1:
			repeated++
			l.t.Logf("run again: %s: %s", id, describe(rs))
		}
		delete(all, id)
	}
	if lost > 0 || repeated > 0 || len(all) > 0 {
		l.t.Errorf("of %d requests %d did not run, %d ran more than once; %d others ran", len(ids), lost, repeated, len(all))
	}
}

func describe(rs []*run) string {
	var b strings.Builder
	for _, r := range rs {
		fmt.Fprintf(&b, "[attempt %d at %s, rerun %v, end %q] ", r.attempt, r.worker, r.rerun, r.end)
	}
	return b.String()
}

// workers counts the runs of each worker.
func (rs runs) workers() map[string]int {
	n := map[string]int{}
	for _, list := range rs {
		for _, r := range list {
			n[r.worker]++
		}
	}
	return n
}
