package core

import (
	"fmt"
	"strings"
	"testing"
)

// However many workers have no room, a request that lost its worker goes at once to
// one that is free; and where none is, to the first that becomes so, while whoever
// has room for others is kept for it.
func TestLoneRequestsFindTheFreeWorker(t *testing.T) {
	for _, free := range []bool{true, false} {
		s := newStage(t)
		for i := range 80 {
			s.run(fmt.Sprintf("w%d READY credit=0 instance=%c", i, '!'+i), fmt.Sprintf("w%d HEARTBEAT credit=0", i))
		}
		s.run("wx READY credit=1 instance={", "wx HEARTBEAT", "c1 REQUEST X first=1",
			"wy READY credit=2 instance=y", "wy HEARTBEAT credit=2")
		if !free {
			s.run("c1 REQUEST B first=1")
		}
		s.run("wx READY credit=0 instance=}") // a new process at that place: the old one is gone
		if got := strings.Contains(s.trace.String(), "handed_out X worker=y"); got != free {
			t.Fatalf("free %t: handed out %t\n%s", free, got, s.trace.String())
		}
		if free {
			continue
		}
		s.run("c1 REQUEST C first=1", "wy HEARTBEAT credit=2 B/1:running", "wy REPLY B/1 OK")
		trace := s.trace.String()
		x, c := strings.Index(trace, "handed_out X worker=y"), strings.Index(trace, "handed_out C")
		if x < 0 || c >= 0 && c < x {
			t.Fatalf("X is not handed out first:\n%s", trace)
		}
	}
}
