package zmqlink_test

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
)

// Signals that come faster than a poll ends must neither prolong a Wait, nor
// shorten it, nor reach the caller as an error.
func TestSignalsDoNotDisturbWait(t *testing.T) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGUSR1)
	defer signal.Stop(caught)

	// The signals must hit the very thread that polls.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	process, thread := syscall.Getpid(), syscall.Gettid()
	stop, stopped := make(chan struct{}), make(chan int)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for sent := 0; ; sent++ {
			select {
			case <-stop:
				stopped <- sent
				return
			case <-tick.C:
				if sent >= 300 {
					continue // let a Wait that signals prolong end some time
				}
				_, _, _ = syscall.Syscall(syscall.SYS_TGKILL, uintptr(process), uintptr(thread), uintptr(syscall.SIGUSR1))
			}
		}
	}()

	e := linktest.Open(t, tcp, "tcp://127.0.0.1:0", link.Options{Role: link.Router})
	start := time.Now()
	err := e.Host.Wait(300 * time.Millisecond)
	took := time.Since(start)
	close(stop)
	if sent := <-stopped; err != nil || took < 300*time.Millisecond || took > 2*time.Second || sent < 5 {
		t.Fatalf("under %d signals Wait(300ms) took %v and returned %v", sent, took, err)
	}
}
