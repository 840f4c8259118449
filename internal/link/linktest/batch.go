package linktest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
)

// TestPut checks: what was Put arrives whole and in order, whatever its size, also between
// messages that were sent at once.
func TestPut(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{SendMax: 10_000, RecvMax: 10_000}, link.Options{Identity: []byte("peer-1"), SendMax: 10_000, RecvMax: 10_000})
	var want []string
	say := func(put bool, frames ...string) {
		all := make([][]byte, len(frames))
		for i, f := range frames {
			all[i] = []byte(f)
		}
		if put {
			dealer.Link.Put(nil, all...)
		} else if err := dealer.Link.Send(nil, all...); err != nil {
			t.Fatal(err)
		}
		for i, f := range all { // it is not kept
			if len(f) < link.LentMax {
				copy(all[i], strings.Repeat("X", len(f)))
			}
		}
		want = append(want, fmt.Sprintf("peer-1%q", frames))
	}
	for i := range 400 {
		say(true, fmt.Sprint(i), "", strings.Repeat("s", i))
		switch i % 100 {
		case 10:
			say(true, fmt.Sprint("large ", i), strings.Repeat("L", link.LentMax+i), "")
		case 20:
			say(false, "at once")
		case 30:
			say(true, "")
		}
	}
	dealer.Link.Flush(func(number int, err error) { t.Errorf("message %d: %v", number, err) })
	Until(t, "all arrive", func() bool { return len(router.Data()) == len(want) }, router)
	for i, m := range router.Data() {
		Expect(t, m, want[i])
	}
}

// TestFlushNamesFailures checks: Flush names the messages that could not be sent, by their numbers, and no
// other; the numbers begin anew.
func TestFlushNamesFailures(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{}, link.Options{Identity: []byte("here")})
	for round := range 2 {
		router.Link.Put([]byte("gone"), []byte("0"))
		router.Link.Put([]byte("here"), []byte("1"))
		router.Link.Put([]byte("gone"), []byte("2"), []byte("more"), bytes.Repeat([]byte("L"), link.LentMax))
		router.Link.Put([]byte("here"), []byte("3"), bytes.Repeat([]byte("L"), link.LentMax))
		router.Link.Put([]byte("gone"), []byte("4"))
		router.Link.Put([]byte("here"), []byte("5"))
		router.Link.Put([]byte("here"))
		var failed []string
		router.Link.Flush(func(number int, err error) {
			switch {
			case errors.Is(err, link.ErrUnreachable):
				failed = append(failed, fmt.Sprint(number))
			case errors.Is(err, link.ErrNoFrames):
				failed = append(failed, fmt.Sprint(number, " empty"))
			default:
				t.Errorf("message %d: %v", number, err)
			}
		})
		if got := strings.Join(failed, ","); got != "0,2,4,6 empty" {
			t.Fatalf("round %d: failed %s", round, got)
		}
		Until(t, "the others arrive", func() bool { return len(dealer.Data()) == 3*(round+1) }, dealer)
	}
	router.Link.Put([]byte("gone"), []byte("nobody asks"))
	router.Link.Flush(nil)
	router.Link.Flush(func(number int, err error) { t.Errorf("told twice: %d %v", number, err) })
	if d := dealer.Data(); string(d[4].Frames[0]) != "3" || len(d[4].Frames[1]) != link.LentMax || string(d[5].Frames[0]) != "5" {
		t.Fatalf("the dealer got %q", d)
	}
}

// TestNothingOvertakesAFailure checks: what a dealer was to send behind a message that failed is not sent: the order
// has no holes. The next batch is another matter.
func TestNothingOvertakesAFailure(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{}, link.Options{Identity: []byte("d")})
	flush := func() (failed string) {
		dealer.Link.Flush(func(number int, err error) {
			if !errors.Is(err, link.ErrNoFrames) {
				t.Errorf("message %d: %v", number, err)
			}
			failed += fmt.Sprint(number, " ")
		})
		return failed
	}
	dealer.Link.Put(nil, []byte("0"))
	dealer.Link.Put(nil)
	dealer.Link.Put(nil, []byte("2"))
	dealer.Link.Put(nil, []byte("3"), bytes.Repeat([]byte("L"), link.LentMax))
	dealer.Link.Put(nil, []byte("4"))
	if got := flush(); got != "1 2 3 4 " {
		t.Errorf("failed: %s", got)
	}
	dealer.Link.Put(nil, []byte("0 again"))
	if got := flush(); got != "" {
		t.Errorf("failed in the next batch: %s", got)
	}
	Until(t, "two arrive", func() bool { return len(router.Data()) == 2 }, router)
	Expect(t, router.Data()[0], `d["0"]`)
	Expect(t, router.Data()[1], `d["0 again"]`)
}

// TestNothingOvertakesALostConnection checks: what a dealer has put before its connection ended, and what it puts on the
// next one, arrive in order, and what Flush reports is the end of it.
func TestNothingOvertakesALostConnection(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{}, link.Options{Identity: []byte("d"), Monitor: true})
	addr := router.Link.Addr()
	dealer.Link.Put(nil, []byte("0"))
	if err := router.Host.Close(); err != nil {
		t.Fatal(err)
	}
	again := Open(t, k, addr, link.Options{Role: link.Router, Monitor: true})
	Until(t, "it is connected again", func() bool { return dealer.Count(link.Connected) == 2 && again.Count(link.Connected) == 1 }, dealer, again)
	dealer.Link.Put(nil, []byte("1"))
	var failed []int
	dealer.Link.Flush(func(number int, err error) {
		if !errors.Is(err, link.ErrUnreachable) {
			t.Errorf("message %d: %v", number, err)
		}
		failed = append(failed, number)
	})
	dealer.Send("", "2")
	heard := func() (all []int) {
		for _, m := range again.Data() {
			all = append(all, int(m.Frames[0][0]-'0'))
		}
		return all
	}
	Until(t, "the last arrives", func() bool { all := heard(); return len(all) > 0 && all[len(all)-1] == 2 }, again)
	sent := []int{0, 1}[:2-min(len(failed), 2)]
	if !slices.Equal(failed, []int{0, 1}[len(sent):]) || !slices.IsSorted(heard()) || slices.ContainsFunc(failed, func(n int) bool { return slices.Contains(heard(), n) }) {
		t.Errorf("reported %v, arrived %v", failed, heard())
	}
}

// TestPutWithoutConnection checks: without a connection a batch fails, message by message, from the one on at which
// the connection was found to have ended.
func TestPutWithoutConnection(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{}, link.Options{Identity: []byte("d"), Monitor: true})
	if err := router.Link.Close(); err != nil {
		t.Fatal(err)
	}
	// The end is seen some time later: until then a batch goes as a whole, too.
	Until(t, "a batch fails", func() bool {
		for i := range 3 {
			dealer.Link.Put(nil, []byte{byte(i)}, []byte("body"))
		}
		var failed []int
		dealer.Link.Flush(func(number int, err error) {
			if !errors.Is(err, link.ErrUnreachable) {
				t.Errorf("message %d: %v", number, err)
			}
			failed = append(failed, number)
		})
		if !slices.Equal(failed, []int{0, 1, 2}[3-len(failed):]) {
			t.Errorf("failed: %v", failed)
		}
		return len(failed) > 0
	}, dealer)
}

// TestRecvOfManySizes checks: a message larger than what is read at once, and many of them, come whole.
func TestRecvOfManySizes(t *testing.T, k Kind) {
	for _, lend := range []bool{false, true} {
		router, dealer := Pair(t, k, link.Options{Lend: lend, RecvMax: 10_000}, link.Options{SendMax: 10_000, RecvMax: 10_000})
		const messages = 300
		for i := range messages {
			frames := [][]byte{fmt.Append(nil, i)}
			for j := range i % 40 {
				frames = append(frames, bytes.Repeat([]byte{byte(i)}, (i*j*17)%(link.LentMax+100)))
			}
			if err := dealer.Link.Send(nil, frames...); err != nil {
				t.Fatal(err)
			}
		}
		seen := 0
		for end := time.Now().Add(Patience); seen < messages && time.Now().Before(end); {
			if err := router.Host.Wait(10 * time.Millisecond); err != nil {
				t.Fatal(err)
			}
			got, err := router.Link.Recv(nil, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range got {
				if m.Kind != link.Data {
					continue
				}
				if string(m.Frames[0]) != fmt.Sprint(seen) || len(m.Frames) != 1+seen%40 {
					t.Fatalf("message %d: %q and %d frames", seen, m.Frames[0], len(m.Frames))
				}
				for j, f := range m.Frames[1:] {
					if !bytes.Equal(f, bytes.Repeat([]byte{byte(seen)}, (seen*j*17)%(link.LentMax+100))) {
						t.Fatalf("message %d, frame %d is not what was sent", seen, j)
					}
				}
				seen++
			}
		}
		if seen != messages {
			t.Fatalf("%d of %d messages", seen, messages)
		}
	}
}

// TestWhatIsNotLentIsKept checks: what a link does not lend, and large frames in any case, are the caller's.
func TestWhatIsNotLentIsKept(t *testing.T, k Kind) {
	for _, lend := range []bool{false, true} {
		router, dealer := Pair(t, k, link.Options{Lend: lend}, link.Options{})
		large := strings.Repeat("L", link.LentMax)
		dealer.Send("", "small", large)
		Until(t, "it arrives", func() bool { return len(router.Data()) == 1 }, router)
		first := router.Data()[0].Frames
		small, kept := first[0], first[1]
		for i := range 50 {
			dealer.Send("", fmt.Sprint("later ", i), strings.Repeat("M", link.LentMax))
		}
		Until(t, "more arrives", func() bool { return len(router.Data()) == 51 }, router)
		if string(kept) != large || (!lend && string(small) != "small") {
			t.Fatal("a later message was written over it")
		}
	}
}
