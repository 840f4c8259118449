package zmqlink_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
)

// What many messages cost in calls into C: a number that does not depend on
// the machine.
func TestCallsIntoC(t *testing.T) {
	const messages = 250
	router := linktest.Open(t, tcp, "tcp://127.0.0.1:0", link.Options{Role: link.Router, Lend: true})
	dealer := linktest.Open(t, tcp, router.Link.Addr(), link.Options{Role: link.Dealer})
	linktest.Until(t, "a message goes out", func() bool { return dealer.TrySend("", "hello") == nil }, dealer)
	linktest.Until(t, "it arrives", func() bool { return len(router.Data()) == 1 }, router)
	peer := router.Data()[0].Peer
	header, body := make([]byte, 61), make([]byte, 64)

	calls := func(do func()) int64 {
		before := runtime.NumCgoCall()
		do()
		return runtime.NumCgoCall() - before
	}
	for range messages {
		dealer.Link.Put(nil, nil, header, body)
	}
	if n := calls(func() { dealer.Link.Flush(nil) }); n != 1 {
		t.Errorf("%d calls to send %d messages of three frames, want 1", n, messages)
	}
	// They arrive when they do: each look is one call, and one more for each
	// buffer that was filled.
	received, looks := 0, int64(0)
	var spent int64
	for end := time.Now().Add(linktest.Patience); received < messages && time.Now().Before(end); looks++ {
		if err := router.Host.Wait(10 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
		spent += calls(func() {
			got, err := router.Link.Recv(nil, messages)
			if err != nil {
				t.Fatal(err)
			}
			received += len(got)
		})
	}
	if received != messages || spent > looks+2 {
		t.Errorf("%d calls in %d looks to receive %d of %d messages of four frames", spent, looks, received, messages)
	}
	for range messages {
		router.Link.Put(peer, nil, header, body)
	}
	if n := calls(func() {
		router.Link.Flush(func(number int, err error) { t.Error(fmt.Sprint("message ", number, ": "), err) })
	}); n != 1 {
		t.Errorf("%d calls to send %d messages of four frames, want 1", n, messages)
	}
}
