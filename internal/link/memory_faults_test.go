package link

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The seeded faults of a connecting endpoint, in virtual time.

func TestCutBreaksBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, r, dh, d := connected(t, Options{Monitor: true}, Options{Monitor: true, ReconnectMin: 20 * time.Millisecond}, "?cut=1")
		recv(t, r)
		recv(t, d)
		send(t, d, nil, "never arrives")
		for _, l := range []Link{r, d} {
			if got := recv(t, l); len(got) != 1 || got[0].Kind != Disconnected {
				t.Fatalf("got %v, want Disconnected", got)
			}
		}
		if err := r.Send([]byte("d"), []byte("x")); !errors.Is(err, ErrUnreachable) {
			t.Fatalf("got %v", err)
		}
		elapsed(t, 20*time.Millisecond, func() { wait(t, dh, time.Hour) })
		for _, l := range []Link{r, d} {
			if got := recv(t, l); len(got) != 1 || got[0].Kind != Connected {
				t.Fatalf("got %v, want Connected", got)
			}
		}
	})
}

// faultTrace says what became of each of n messages in one direction.
func faultTrace(t *testing.T, query string, n int) string {
	t.Helper()
	_, r, dh, d := connected(t, Options{RecvMax: 10 * n}, Options{SendMax: 10 * n, ReconnectMin: 1}, query)
	for i := range n {
		wait(t, dh, 1)
		send(t, d, nil, fmt.Sprint(i))
	}
	var trace strings.Builder
	for _, m := range recv(t, r) {
		fmt.Fprintf(&trace, "%s ", m.Frames[0])
	}
	r.Close()
	d.Close()
	return trace.String()
}

func TestFaultsRepeatWithTheirSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const faulty = "&loss=0.2&dup=0.2"
		first := faultTrace(t, "?seed=1"+faulty, 200)
		if again := faultTrace(t, "?seed=1"+faulty, 200); again != first {
			t.Errorf("seed 1 gave\n%s and then\n%s", first, again)
		}
		if other := faultTrace(t, "?seed=2"+faulty, 200); other == first {
			t.Error("seed 2 gave the same faults as seed 1")
		}
		fields := strings.Fields(first)
		seen := map[string]int{}
		twice := 0
		for _, f := range fields {
			if seen[f]++; seen[f] == 2 {
				twice++
			}
		}
		lost := 200 - len(seen)
		if lost < 20 || lost > 60 || twice < 15 || twice > 55 {
			t.Errorf("of 200 messages %d were lost and %d came twice, want about 40 and 32", lost, twice)
		}
	})
}

func TestLossDoesNotMoveCuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if got := faultTrace(t, "?seed=1&loss=1", 50); got != "" {
			t.Errorf("with loss=1 arrived: %s", got)
		}
		if got := faultTrace(t, "?seed=1&dup=1", 3); got != "0 0 1 1 2 2 " {
			t.Errorf("with dup=1 arrived: %s", got)
		}
		if got := faultTrace(t, "?seed=1", 4); got != "0 1 2 3 " {
			t.Errorf("without faults arrived: %s", got)
		}
	})
}

func TestLinksOfAHostDrawDifferentFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rh, dh := NewMemory(), NewMemory()
		defer rh.Close()
		defer dh.Close()
		r := openMemory(t, rh, Options{}, "mem://streams")
		for _, id := range []string{"a", "b"} {
			d := openMemory(t, dh, Options{Role: Dealer, Identity: []byte(id)}, "mem://streams?seed=3&loss=0.5")
			wait(t, dh, 0)
			for i := range 64 {
				send(t, d, nil, fmt.Sprint(i))
			}
		}
		traces := map[string]string{}
		for _, m := range recv(t, r) {
			traces[string(m.Peer)] += string(m.Frames[0]) + " "
		}
		if traces["a"] == traces["b"] {
			t.Fatalf("two links lost the same messages: %v", traces)
		}
	})
}

func TestDuplicatesDoNotShareMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, r, _, d := connected(t, Options{}, Options{}, "?dup=1")
		send(t, d, nil, "head", "body")
		got := recv(t, r)
		if len(got) != 2 {
			t.Fatalf("got %v", got)
		}
		copy(got[0].Frames[0], "XXXX")
		_ = append(got[1].Frames[0], "YYYY"...)
		if string(got[1].Frames[0]) != "head" || string(got[1].Frames[1]) != "body" {
			t.Fatalf("the second copy changed with the first: %q", got[1].Frames)
		}
	})
}
