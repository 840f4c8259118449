package zmtplink_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
)

// heap is how many bytes of the heap are in use, without what pools keep.
func heap() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// What a test of memory allows for what has nothing to do with it.
const besides = 96 << 10

// attendUntil waits for what needs the Router's owner to come back to it, but not
// to read.
func attendUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(linktest.Patience); !done(); {
		if time.Now().After(end) {
			t.Fatal("not within the time that it may take: " + what)
		}
		attend(t, func() { time.Sleep(time.Millisecond) })
	}
}

// held checks that what counts as waiting is at least what the heap has grown by,
// and not several times as much.
func held(t *testing.T, what string, counted, grown int64) {
	t.Helper()
	if t.Logf("%s: %d bytes are counted, and the heap has grown by %d", what, counted, grown); grown > counted+besides || counted > 3*grown {
		t.Errorf("%s: %d bytes are counted, and the heap has grown by %d", what, counted, grown)
	}
}

// Many small messages that wait to be read are counted with what they take beside
// their bytes, and leave nothing behind on their connection.
func TestManySmallMessagesIn(t *testing.T) {
	const messages, plenty = 30_000, 1 << 30
	router := openRouter(t, link.Options{RecvMax: plenty, PeerBytesMax: plenty, LinkBytesMax: 4 * plenty})
	for name, message := range map[string][]byte{
		"empty":       frame(zmtp.Last, ""),
		"four frames": bytes.Join([][]byte{frame(zmtp.More, ""), frame(zmtp.More, ""), frame(zmtp.More, "x"), frame(zmtp.Last, "")}, nil),
	} {
		nc := join(t, router.Link.Addr(), name)
		stream := bytes.Repeat(message, messages)
		linktest.Until(t, "it is connected", func() bool { return messagesOf(router, name) == 0 && len(router.Read) > 0 }, router)
		router.Read = nil
		before := heap()
		write(t, nc, stream)
		attendUntil(t, "all have come", func() bool { return messagesOf(router, name) == messages })
		held(t, name, stats(router).BytesToRead, heap()-before)
		var dst []link.Message
		for n := 0; n < messages; n += len(dst) {
			var err error
			if dst, err = router.Link.Recv(dst[:0], 50); err != nil {
				t.Fatal(err)
			}
		}
		if dst, err := router.Link.Recv(nil, 50); err != nil || len(dst) > 0 {
			t.Fatal(dst, err)
		}
		runtime.KeepAlive(stream)
		if left, n := heap()-before, stats(router).BytesToRead; left > besides || n != 0 {
			t.Errorf("%s: when all were read, the heap is %d bytes larger than before, and %d count as waiting", name, left, n)
		}
	}
}

// A peer that is not read, because too much of others waits, holds nothing when its
// own was read.
func TestPausedConnectionHasNoChunk(t *testing.T) {
	router := openRouter(t, link.Options{PeerBytesMax: 4 << 20, LinkBytesMax: 2 << 20})
	p, much := join(t, router.Link.Addr(), "p"), join(t, router.Link.Addr(), "much")
	waits := func(peer string, n uint64) {
		t.Helper()
		attendUntil(t, "it has come", func() bool { return messagesOf(router, peer) == n })
	}
	linktest.Until(t, "they are connected", func() bool { return router.Count(link.Connected) == 2 }, router)
	write(t, p, frame(zmtp.Last, "a"))
	waits("p", 1)
	go func() { _, _ = much.Write(bytes.Repeat(frame(zmtp.Last, string(make([]byte, 3<<20))), 2)) }()
	waits("much", 1)
	attendUntil(t, "it is paused in its second message", func() bool { return stats(router).ReadPauses == 1 })
	write(t, p, frame(zmtp.Last, "b"))
	waits("p", 2)
	router.Recv(2)
	router.Recv(0)
	if got := router.Data(); len(got) != 2 || string(got[1].Frames[0]) != "b" || stats(router).BytesToRead < 6<<20 {
		t.Fatalf("%d messages were read, and %d bytes wait", len(got), stats(router).BytesToRead)
	}
	for _, peer := range router.Link.(link.Observed).Peers(nil) {
		if string(peer.Peer) == "p" && peer.ToRead != 0 {
			t.Errorf("%d bytes are held for a connection that is not read", peer.ToRead)
		}
	}
	write(t, p, frame(zmtp.Last, "c"))
	linktest.Until(t, "the last comes", func() bool { return len(router.Data()) == 5 }, router)
}

// Many small messages that wait to be sent are counted with what they take beside
// their bytes, and leave nothing behind on their connection.
func TestManySmallMessagesOut(t *testing.T) {
	const least, plenty = 2 << 20, 1 << 30
	for name, body := range map[string][]byte{"tiny": []byte("x"), "a little more": make([]byte, 150), "large": make([]byte, link.LentMax)} {
		router := openRouter(t, link.Options{SendMax: plenty, PeerBytesMax: plenty, LinkBytesMax: 4 * plenty})
		nc := join(t, router.Link.Addr(), name)
		linktest.Until(t, "it is connected", func() bool { return router.Count(link.Connected) == 1 }, router)
		before := heap()
		total := int64(0)
		for stats(router).BytesToSend < least {
			for range 100 {
				router.Link.Put([]byte(name), body, nil)
				total += int64(len(frame(zmtp.More, string(body))) + 2)
			}
			router.Link.Flush(func(_ int, err error) { t.Fatal(err) })
		}
		held(t, name, stats(router).BytesToSend, heap()-before)
		attend(t, func() {
			if err := discard(nc, total); err != nil {
				t.Error(err)
			}
		})
		linktest.Until(t, "all is sent", func() bool { return stats(router).BytesToSend == 0 }, router)
		if left := heap() - before - pooled(body, total); left > besides {
			t.Errorf("%s: when all was sent, the heap is %d bytes larger than before", name, left)
		}
	}
}

// pooled is what the pool of large frames may keep.
func pooled(body []byte, total int64) int64 {
	if len(body) < link.LentMax {
		return 0
	}
	return total
}

// discard reads so many bytes.
func discard(nc net.Conn, total int64) error {
	_ = nc.SetDeadline(time.Now().Add(linktest.Patience))
	n, err := io.CopyN(io.Discard, nc, total)
	if err == nil && n != total {
		err = errors.New("it has ended")
	}
	return err
}
