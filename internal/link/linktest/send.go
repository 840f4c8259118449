package linktest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
)

// A record is what became of messages that were sent one by one: each begins with
// its number.
type record struct {
	sent, failed []string
}

// note notes what Send said of the next message, which say has sent.
func (r *record) note(t *testing.T, allowed error, say func(number string) error) error {
	t.Helper()
	number := fmt.Sprint(len(r.sent) + len(r.failed))
	err := say(number)
	switch {
	case err == nil:
		r.sent = append(r.sent, number)
	case errors.Is(err, allowed):
		r.failed = append(r.failed, number)
	default:
		t.Fatalf("message %s: %v", number, err)
	}
	return err
}

// check compares it with what has arrived, which is in order.
func (r *record) check(t *testing.T, arrived []string) {
	t.Helper()
	if len(r.failed) == 0 {
		t.Fatal("no message failed")
	}
	last := -1
	for _, number := range arrived {
		if slices.Contains(r.failed, number) {
			t.Errorf("message %s has arrived, and was reported as not sent", number)
		}
		if n := slices.Index(r.sent, number); n >= 0 && n <= last {
			t.Errorf("message %s has arrived behind a later one, or twice", number)
		} else if n >= 0 {
			last = n
		}
	}
}

func numbers(list []link.Message) (numbers []string) {
	for _, m := range list {
		numbers = append(numbers, string(m.Frames[0]))
	}
	return numbers
}

// TestSendThatIsFull checks: a message that Send reports as one too many does not arrive, and every other one does,
// also those of which a part waited for room.
func TestSendThatIsFull(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{SendMax: 3}, link.Options{RecvMax: 4, Identity: []byte("slow")})
	var r record
	for n := 0; len(r.failed) < 30; n++ {
		if n > 20_000 {
			t.Fatal("it takes all")
		}
		body := strings.Repeat("x", n%4*50_000)
		err := r.note(t, link.ErrFull, func(number string) error { return router.TrySend("slow", number, body, "tail") })
		if err != nil && n%3 == 0 { // a little room
			Waits(t, dealer, time.Millisecond, 0)
			Waits(t, router, time.Millisecond, 0)
			dealer.Recv(2)
		}
	}
	Until(t, "what was taken arrives", func() bool { return len(dealer.Data()) >= len(r.sent) }, dealer, router)
	Until(t, "there is room", func() bool {
		return r.note(t, link.ErrFull, func(number string) error { return router.TrySend("slow", number) }) == nil
	}, dealer, router)
	Until(t, "the last arrives", func() bool { all := dealer.Data(); return string(all[len(all)-1].Frames[0]) == r.sent[len(r.sent)-1] }, dealer, router)
	r.check(t, numbers(dealer.Data()))
	if got := numbers(dealer.Data()); !slices.Equal(got, r.sent) {
		t.Errorf("%d messages have arrived, and %d were taken", len(got), len(r.sent))
	}
}

// TestSendOverALostConnection checks: a message that Send reports as not sent, because the connection has ended, does
// not arrive, not with the next connection either.
func TestSendOverALostConnection(t *testing.T, k Kind) {
	router, dealer := Pair(t, k, link.Options{}, link.Options{Identity: []byte("d"), Monitor: true})
	var r record
	say := func() error {
		return r.note(t, link.ErrUnreachable, func(number string) error { return dealer.TrySend("", number, strings.Repeat("x", 5000)) })
	}
	for range 20 {
		if err := say(); err != nil {
			t.Fatal(err)
		}
	}
	Until(t, "some have arrived", func() bool { return len(router.Data()) >= 10 }, router)
	if err := router.Host.Close(); err != nil {
		t.Fatal(err)
	}
	Until(t, "nothing can be sent", func() bool { return say() != nil }, dealer)
	again := Open(t, k, router.Link.Addr(), link.Options{Role: link.Router, Monitor: true})
	Until(t, "it is connected again", func() bool {
		_ = say()
		return dealer.Count(link.Connected) == 2 && again.Count(link.Connected) == 1
	}, dealer, again)
	Until(t, "one is taken", func() bool { return say() == nil }, dealer, again)
	Until(t, "it arrives", func() bool {
		all := again.Data()
		return len(all) > 0 && string(all[len(all)-1].Frames[0]) == r.sent[len(r.sent)-1]
	}, again)
	r.check(t, append(numbers(router.Data()), numbers(again.Data())...))
}
