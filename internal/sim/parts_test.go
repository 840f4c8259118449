package sim

import (
	"testing"

	"github.com/privateer-mq/privateer/internal/clientcore"
)

// A caller that got a part of one run, and the end of another that made none,
// has a whole reply. One whose part is missing has not.
func TestFinalOfNoParts(t *testing.T) {
	for _, test := range []struct {
		name        string
		made, parts int
		broken      bool
	}{
		{"an end without parts", 0, 0, false},
		{"the end of a run with two, of which one came", 2, 2, true},
		{"an end that says nothing of the two that were made", 2, 0, true},
	} {
		w := &world{}
		w.oracle.w = w
		q := &request{name: "R1", window: 4}
		c := &call{request: q, taking: taking{n: 1, run: "run 1"}}
		w.oracle.checkParts(c, &run{request: q, body: "run 2", made: test.made}, &clientcore.Outcome{Parts: uint32(test.parts)})
		if (w.failed != nil) != test.broken {
			t.Errorf("%s: %v", test.name, w.failed)
		}
	}
}
