package broker_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/broker"
)

// A lockedLog is a log that is looked at while it is written.
type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lockedLog) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

// TestPortsThatAreFull: a broker whose descriptors become few says once which port
// accepts nothing, and once that it does again.
func TestPortsThatAreFull(t *testing.T) {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 200, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	}()
	log := &lockedLog{}
	b, err := broker.New(broker.Config{Transport: "zmtp", Frontends: []string{"tcp://127.0.0.1:0"}, Backends: []string{"tcp://127.0.0.1:0"}, Logger: zerolog.New(log)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	<-b.Ready()
	front, _ := b.Addrs()
	var conns []net.Conn
	hangUp := func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}
	defer hangUp()
	until := func(what string, done func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !done(); <-time.After(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("never: %s; the log:\n%s", what, log.text.String())
			}
		}
	}
	for range 85 { // each takes a descriptor on both sides
		c, err := net.Dial("tcp", strings.TrimPrefix(front, "tcp://"))
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	until("it says that the port is full", func() bool { return log.count("accepting-paused") > 0 })
	hangUp()
	until("it says that there is room again", func() bool { return log.count(`"state":"accepting"`) > 0 })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n, m := log.count("accepting-paused"), log.count(`"port":"front"`); n != 1 || m != 2 {
		t.Errorf("it says it %d times, %d lines about the front:\n%s", n, m, log.text.String())
	}
}
