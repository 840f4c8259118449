package zmtplink_test

import (
	"bytes"
	"testing"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
)

// One message that the options allow goes through, though it is more than may
// wait on all connections together: nobody reads too slowly.
func TestOneLargeMessage(t *testing.T) {
	const size = 32 << 20
	router := openRouter(t, link.Options{FrameBytesMax: size, PeerBytesMax: 1 << 20, LinkBytesMax: 4 << 20})
	dealer := linktest.Open(t, tcp, router.Link.Addr(), link.Options{Role: link.Dealer, Identity: []byte("d"),
		FrameBytesMax: size, PeerBytesMax: 1 << 20, LinkBytesMax: 4 << 20})
	body := bytes.Repeat([]byte("x"), size)
	linktest.Until(t, "the dealer sends", func() bool { return dealer.Link.Send(nil, body) == nil }, router)
	linktest.Until(t, "the router gets it", func() bool { return len(router.Data()) == 1 }, router, dealer)
	if err := router.Link.Send([]byte("d"), body); err != nil {
		t.Fatal(err)
	}
	linktest.Until(t, "the dealer gets it", func() bool { return len(dealer.Data()) == 1 }, router, dealer)
	if n := stats(router).SlowCut + stats(dealer).SlowCut; n != 0 {
		t.Errorf("%d connections were cut", n)
	}
}

// A second large message may follow the first one, which is still under way.
func TestTwoLargeMessages(t *testing.T) {
	t.Run("two are more than may wait", func(t *testing.T) { twoOf(t, 12<<20) })
	t.Run("one is", func(t *testing.T) { twoOf(t, 24<<20) })
}

func twoOf(t *testing.T, size int) {
	t.Helper()
	router := openRouter(t, link.Options{FrameBytesMax: int64(size), LinkBytesMax: 24 << 20})
	join(t, router.Link.Addr(), "slow")
	linktest.Until(t, "it is there", func() bool { return router.Count(link.Connected) == 1 }, router)
	body := make([]byte, size)
	for range 2 {
		if err := router.Link.Send([]byte("slow"), body); err != nil {
			t.Fatal(err)
		}
	}
	// What is on the way to the peer makes room.
	n := 2
	for ; n < 6 && router.Link.Send([]byte("slow"), body) == nil; n++ {
	}
	if st := stats(router); n == 6 || st.SlowCut != 0 || st.Full == 0 {
		t.Fatalf("%d messages of %d bytes wait where 16 MiB may; %+v", n, size, st)
	}
}
