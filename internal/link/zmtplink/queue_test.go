package zmtplink_test

import (
	"errors"
	"testing"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
)

// Queue says at once whether the link takes a message, and nothing leaves before
// the next Flush.
func TestQueue(t *testing.T) {
	router := openRouter(t, link.Options{})
	dealer := linktest.Open(t, tcp, "tcp://127.0.0.1:1", link.Options{Role: link.Dealer, Identity: []byte("x")})
	if err := dealer.Link.(link.Queuer).Queue(nil, []byte("no")); !errors.Is(err, link.ErrUnreachable) {
		t.Fatalf("queued without a connection: %v", err)
	}
	dealer = linktest.Open(t, tcp, router.Link.Addr(), link.Options{Role: link.Dealer, Identity: []byte("d")})
	queuer := dealer.Link.(link.Queuer)
	linktest.Until(t, "the dealer takes one", func() bool { return queuer.Queue(nil, []byte("one")) == nil }, router, dealer)
	if err := queuer.Queue(nil, []byte("two")); err != nil {
		t.Fatal(err)
	}
	if n := stats(dealer).BytesToSend; n == 0 {
		t.Error("nothing waits before the flush")
	}
	dealer.Link.Flush(nil)
	linktest.Until(t, "both have come", func() bool { return len(router.Data()) == 2 }, router, dealer)
	if n := stats(dealer).BytesToSend; n != 0 {
		t.Errorf("%d bytes wait after the flush", n)
	}
}
