package zmqlink_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
)

// What many messages cost in calls into C: a number that does not depend on
// the machine.
func TestCallsIntoC(t *testing.T) {
	const messages = 250
	router := open(t, "tcp://127.0.0.1:0", link.Options{Role: link.Router, Lend: true})
	dealer := open(t, router.link.Addr(), link.Options{Role: link.Dealer})
	until(t, "a message goes out", func() bool { return dealer.trySend("", "hello") == nil }, dealer)
	until(t, "it arrives", func() bool { return len(router.data()) == 1 }, router)
	peer := router.data()[0].Peer
	header, body := make([]byte, 61), make([]byte, 64)

	calls := func(do func()) int64 {
		before := runtime.NumCgoCall()
		do()
		return runtime.NumCgoCall() - before
	}
	for range messages {
		dealer.link.Put(nil, nil, header, body)
	}
	if n := calls(func() { dealer.link.Flush(nil) }); n != 1 {
		t.Errorf("%d calls to send %d messages of three frames, want 1", n, messages)
	}
	// They arrive when they do: each look is one call, and one more for each
	// buffer that was filled.
	received, looks := 0, int64(0)
	var spent int64
	for end := time.Now().Add(patience); received < messages && time.Now().Before(end); looks++ {
		if err := router.host.Wait(10 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
		spent += calls(func() {
			got, err := router.link.Recv(nil, messages)
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
		router.link.Put(peer, nil, header, body)
	}
	if n := calls(func() {
		router.link.Flush(func(number int, err error) { t.Error(fmt.Sprint("message ", number, ": "), err) })
	}); n != 1 {
		t.Errorf("%d calls to send %d messages of four frames, want 1", n, messages)
	}
}
