package core

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestRequests: each state is found, filters hold, the oldest are first, and an
// answer has a bound.
func TestRequests(t *testing.T) {
	s := newStage(t)
	s.run("w1 READY", "w1 HEARTBEAT", "c1 REQUEST A first=1", "+1s", "w1 HEARTBEAT A/1:running",
		"c1 REQUEST B first=1", "+1s", "w1 HEARTBEAT A/1:running", "c1 REQUEST C first=1 service=other", "c1 REQUEST D first=1")
	ask := func(q Query) string {
		t.Helper()
		all, more := s.core.Requests(s.now, q)
		var names []string
		for _, r := range all {
			for n := byte('A'); n <= 'Z'; n++ {
				if r.ID == id(string(n)) {
					names = append(names, string(n)+":"+r.State)
				}
			}
		}
		return fmt.Sprint(strings.Join(names, " "), " ", more)
	}
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{}, "A:assigned B:queued C:queued D:queued false"},
		{Query{Service: "other"}, "C:queued false"},
		{Query{State: "assigned"}, "A:assigned false"},
		{Query{State: "queued"}, "B:queued C:queued D:queued false"},
		{Query{Older: time.Second}, "A:assigned B:queued false"},
		{Query{Older: time.Second, State: "queued"}, "B:queued false"},
		{Query{Max: 2}, "A:assigned B:queued true"},
		{Query{Max: 4}, "A:assigned B:queued C:queued D:queued false"},
		{Query{Service: "nobody's"}, " false"},
	} {
		if got := ask(c.q); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.q, got, c.want)
		}
	}
	s.run("w1 REPLY A/1 RETRY")
	if got := ask(Query{}); got != "A:backoff B:assigned C:queued D:queued false" {
		t.Errorf("after a retry was asked for: %q", got)
	}
	if got := ask(Query{State: "backoff"}); got != "A:backoff false" {
		t.Errorf("those that back off: %q", got)
	}
	if ids := s.core.Held('1', 8); len(ids) != 1 || ids[0] != id("B") {
		t.Errorf("held: %v", ids)
	}
	if ids := s.core.Held('9', 8); ids != nil {
		t.Errorf("a worker that is not there holds %v", ids)
	}
}

// TestOldestRuns: of each service the run that has lasted longest, and none of one
// that runs nothing.
func TestOldestRuns(t *testing.T) {
	s := newStage(t)
	s.run("w1 READY", "w1 HEARTBEAT", "w2 READY", "w2 HEARTBEAT", "c1 REQUEST A first=1", "+2s",
		"w1 HEARTBEAT A/1:running", "w2 HEARTBEAT", "c1 REQUEST B first=1", "c1 REQUEST C first=1 service=other", "+1s",
		"w1 HEARTBEAT A/1:running", "w2 HEARTBEAT B/1:running")
	runs := s.core.OldestRuns(s.now)
	if len(runs) != 1 || runs["echo"].ID != id("A") || runs["echo"].Held != 3*time.Second {
		t.Errorf("runs: %+v", runs)
	}
}

// TestRequestsBounded: a long queue costs no more than the answer.
func TestRequestsBounded(t *testing.T) {
	s := newStage(t)
	for i := range 900 {
		s.run(fmt.Sprintf("c1 REQUEST R%d first=1", i))
	}
	all, more := s.core.Requests(s.now, Query{Max: 10})
	if len(all) != 10 || !more {
		t.Errorf("%d requests, more %t", len(all), more)
	}
	all, more = s.core.Requests(s.now, Query{})
	if len(all) != 900 || more {
		t.Errorf("%d requests, more %t", len(all), more)
	}
	s.run("+2s")
	if all, _ = s.core.Requests(s.now, Query{Older: 3 * time.Second}); len(all) != 0 {
		t.Errorf("%d are older than the oldest", len(all))
	}
}
