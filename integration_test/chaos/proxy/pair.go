package proxy

import (
	"io"
	"net"
	"sync"
	"time"
)

const (
	chunkBytes = 32 << 10
	// chunksMax bounds what is under way in one direction; after that, TCP
	// makes the sender wait.
	chunksMax = 64
)

// A pair is one connection from a peer, and the one to the broker for it.
type pair struct {
	proxy *Proxy
	conns [2]*net.TCPConn // by Side
	gone  chan struct{}   // closed when nothing more is passed on

	mu    sync.Mutex
	over  bool // gone is closed
	half  bool // one side only is left
	ended sync.WaitGroup
}

// A chunk is bytes on their way.
type chunk struct {
	bytes []byte
	due   time.Time
}

// run passes bytes on in both directions until both are over.
func (pr *pair) run() {
	pr.ended.Go(func() { pr.pass(Peer, Broker) })
	pr.ended.Go(func() { pr.pass(Broker, Peer) })
	pr.ended.Wait()
	pr.close()
}

// pass moves bytes from one side to the other. When the sender ends, what it
// has sent still arrives, and then both connections are closed: libzmq does
// not use connections of which one direction is closed.
func (pr *pair) pass(from, to Side) {
	chunks := make(chan chunk, chunksMax)
	var reader sync.WaitGroup
	reader.Go(func() { pr.read(from, chunks) })
	pr.write(to, chunks)
	reader.Wait()
}

func (pr *pair) read(from Side, chunks chan<- chunk) {
	defer close(chunks)
	for {
		buffer := make([]byte, chunkBytes)
		n, err := pr.conns[from].Read(buffer)
		if n > 0 {
			select {
			case chunks <- chunk{buffer[:n], pr.proxy.due(time.Now())}:
			case <-pr.gone:
				pr.discard(from)
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// write sends what comes, each when it is due and the way is free.
func (pr *pair) write(to Side, chunks <-chan chunk) {
	for {
		select {
		case c, more := <-chunks:
			if !more {
				pr.finish()
				return
			}
			if !pr.wait(to, c.due) {
				return
			}
			if _, err := pr.conns[to].Write(c.bytes); err != nil {
				pr.finish()
				return
			}
		case <-pr.gone:
			return
		}
	}
}

// wait waits until the way to a side is free and due has come. It reports
// false when there is nothing to wait for any more.
func (pr *pair) wait(to Side, due time.Time) bool {
	if d := time.Until(due); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-pr.gone:
			return false
		}
	}
	for gate := pr.proxy.gate(to); gate != nil; gate = pr.proxy.gate(to) {
		select {
		case <-gate:
		case <-pr.gone:
			return false
		}
	}
	return true
}

// finish ends the pair because one of its sides has ended. A half-open one
// stays: that a side of it has gone is the point.
func (pr *pair) finish() {
	if !pr.isHalf() {
		pr.close()
	}
}

// discard takes what a side sends and throws it away, to its end.
func (pr *pair) discard(from Side) { _, _ = io.Copy(io.Discard, pr.conns[from]) }

// stop lets nothing more pass. It reports whether it was the first to do so.
func (pr *pair) stop(half bool) bool {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if pr.over {
		return false
	}
	pr.over, pr.half = true, half
	close(pr.gone)
	return true
}

func (pr *pair) isHalf() bool {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	return pr.half
}

// close closes both sides.
func (pr *pair) close() {
	pr.stop(false)
	pr.mu.Lock()
	pr.half = false
	pr.mu.Unlock()
	pr.conns[Peer].Close()
	pr.conns[Broker].Close()
}

// reset closes both sides with a reset. It reports whether the pair was alive.
func (pr *pair) reset() bool {
	alive := pr.stop(false)
	reset(pr.conns[Peer])
	reset(pr.conns[Broker])
	return alive
}

// halfOpen closes one side and leaves the other open. It reports whether the
// pair was alive.
func (pr *pair) halfOpen(closed Side) bool {
	alive := pr.stop(true)
	if alive {
		pr.conns[closed].Close()
	}
	return alive
}

// reset closes c such that its peer sees a reset.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0) // it may be closed already
	c.Close()
}
