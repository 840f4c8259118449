// Package lines writes a log without ever making its caller wait: lines go into
// a bounded queue, and a goroutine of its own writes them. Whoever keeps the log
// may stand still, be gone or have no room: then lines are lost and counted, and
// what is logged about goes on.
package lines

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// queueBytesMax bounds what waits to be written.
const queueBytesMax = 1 << 20

// A Writer takes lines, one with each Write. Make one with New. It is safe for
// concurrent use.
type Writer struct {
	lost atomic.Uint64 // in all
	tell func(w io.Writer, n uint64)

	mu      sync.Mutex
	out     io.Writer
	ended   []io.Closer // what was written to before
	queue   [][]byte
	bytes   int    // in queue
	dropped uint64 // after what is in queue
	idle    chan struct{}
	wake    chan struct{} // has room for one
}

// New returns a Writer to out. When lines were lost, and one can be written again,
// tell is called to write one line about it, that n were lost.
func New(out io.Writer, tell func(w io.Writer, n uint64)) *Writer {
	w := &Writer{out: out, tell: tell, wake: make(chan struct{}, 1)}
	go w.run()
	return w
}

// Write queues one line. It neither blocks nor fails: a line for which there is no
// room is lost. b may be used again afterwards.
func (w *Writer) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bytes+len(b) > queueBytesMax {
		w.dropped++
		w.lost.Add(1)
		return len(b), nil
	}
	w.queue = append(w.queue, append([]byte(nil), b...))
	w.bytes += len(b)
	if w.idle == nil {
		w.idle = make(chan struct{})
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return len(b), nil
}

// Lost is how many lines were lost so far.
func (w *Writer) Lost() uint64 { return w.lost.Load() }

// To has what is not written yet written to out. What was written to before is
// closed, if it can be, once no line is under way there.
func (w *Writer) To(out io.Writer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c, ok := w.out.(io.Closer); ok {
		w.ended = append(w.ended, c)
	}
	w.out = out
}

// to is where the next line goes.
func (w *Writer) to() io.Writer {
	w.mu.Lock()
	out, ended := w.out, w.ended
	w.ended = nil
	w.mu.Unlock()
	for _, c := range ended {
		_ = c.Close() // its lines were written, or not
	}
	return out
}

// Flush waits until all lines are written or lost, for so long at most.
func (w *Writer) Flush(most time.Duration) {
	w.mu.Lock()
	idle := w.idle
	w.mu.Unlock()
	if idle == nil {
		return
	}
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-idle:
	case <-t.C:
	}
}

// run writes what is queued. It never ends: what it writes to may never return.
func (w *Writer) run() {
	failed := uint64(0) // lines lost and not told yet
	for range w.wake {
		for queue, dropped := w.take(); len(queue) > 0; queue, dropped = w.take() {
			for _, line := range queue {
				failed = w.write(w.to(), line, failed)
			}
			if failed += dropped; failed > 0 {
				failed = w.say(w.to(), failed)
			}
		}
	}
}

// take is what is queued, and how many lines after that were lost.
func (w *Writer) take() (queue [][]byte, dropped uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	queue, dropped = w.queue, w.dropped
	w.queue, w.bytes, w.dropped = nil, 0, 0
	if len(queue) == 0 && w.idle != nil {
		close(w.idle)
		w.idle = nil
	}
	return queue, dropped
}

// write writes one line, and before it that others were lost. It returns how many
// have been lost and not told now.
func (w *Writer) write(out io.Writer, line []byte, failed uint64) uint64 {
	if failed > 0 {
		if failed = w.say(out, failed); failed > 0 {
			w.lost.Add(1)
			return failed + 1
		}
	}
	n, err := out.Write(line)
	if err == nil {
		return 0
	}
	if n > 0 { // the next line begins on a line of its own, if it can be written
		_, _ = out.Write([]byte("\n"))
	}
	w.lost.Add(1)
	return 1
}

// say writes that n lines were lost. It returns how many are not told now.
func (w *Writer) say(out io.Writer, n uint64) uint64 {
	c := checked{Writer: out}
	if w.tell(&c, n); c.err != nil {
		return n
	}
	return 0
}

// checked remembers an error.
type checked struct {
	io.Writer
	err error
}

func (c *checked) Write(b []byte) (int, error) {
	if _, err := c.Writer.Write(b); err != nil {
		c.err = err
	}
	return len(b), nil // a logger would write of the error to stderr
}
