package broker_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
	"github.com/privateer-mq/privateer/protocol"
)

// What an idle worker costs a broker, in bytes of its heap: also when its READY
// came together with the end of its handshake, so that it was read before anybody
// waited for the connection. Its descriptors are bare ones, which have no part of
// this process's heap.
func TestCrowdOfIdleWorkers(t *testing.T) {
	const workers, most = 400, 5 << 10
	r := start(t, broker.Config{Transport: "zmtp", Heartbeat: time.Minute,
		Frontends: []string{"tcp://127.0.0.1:0"}, Backends: []string{"tcp://127.0.0.1:0"}})
	defer r.end()
	_, back := r.broker.Addrs()
	at := netip.MustParseAddrPort(strings.TrimPrefix(back, "tcp://"))
	join := func(from, to int) {
		for i := from; i < to; i++ {
			bareWorker(t, at, uint64(i+1))
		}
		r.awaitIdle(to)
	}
	join(0, 100) // until tables have their first size
	before := heap()
	join(100, 100+workers)
	if each := (heap() - before) / workers; each > most {
		t.Errorf("an idle worker costs %d bytes, want %d at most", each, most)
	} else {
		t.Logf("an idle worker costs %d bytes", each)
	}
}

// awaitIdle waits until so many workers are idle.
func (r *rig) awaitIdle(workers int) {
	r.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s, err := r.broker.Stats()
		if err != nil {
			r.t.Fatal(err)
		}
		if s.Gauges.Workers == workers {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("%d workers after 30 s, want %d", s.Gauges.Workers, workers)
		}
	}
}

// heap is how many bytes of the heap are in use, without what pools keep.
func heap() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// bareWorker connects and says, in one write, all that a worker says to be handed
// requests; then it is silent.
func bareWorker(t *testing.T, at netip.AddrPort, instance uint64) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err != nil {
		t.Fatal(err)
	}
	greeting := slices.Concat([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1}, []byte("NULL"), make([]byte, 48))
	hello := zmtp.AppendCommand(greeting, "READY", property("Socket-Type", "DEALER"), property("Identity", fmt.Sprintf("worker-%05d", instance)))
	ready := protocol.Message{Command: protocol.Ready, Instance: instance, Link: 1, Seq: 1, Credit: 8, Flags: protocol.Last, Services: [][]byte{[]byte("s")}}
	frames, _ := protocol.AppendFrames(nil, nil, protocol.BackIn, &ready)
	for i, f := range frames {
		flags := byte(zmtp.More)
		if i == len(frames)-1 {
			flags = zmtp.Last
		}
		hello = append(zmtp.AppendHeader(hello, flags, len(f)), f...)
	}
	if n, err := unix.Write(fd, hello); n != len(hello) {
		t.Fatal(n, err)
	}
}

func property(name, value string) []byte {
	p := append([]byte{byte(len(name))}, name...)
	return append(binary.BigEndian.AppendUint32(p, uint32(len(value))), value...)
}
