//go:build unix

package zmtplink

import (
	"errors"
	"io"
	"sync"
	"syscall"
)

// What a connection needs of the system: to wait until there is something to
// read, and only then to take memory for it; to write what fits, at once, on
// any goroutine; and to wait for room. All of it goes through RawConn, within
// whose callbacks a connection must not be closed: that would wait for itself.

// driving is what RawConn calls back, made once for each connection, and how the
// last write went, guarded by c.out.mu.
type driving struct {
	full    bool // the socket has no more room
	err     error
	atOnce  func(fd uintptr)
	waiting func(fd uintptr) bool
	reading func(fd uintptr) bool
}

// A writing is what one write needs. It is used for that long, so that no
// connection keeps one.
type writing struct {
	parts [][]byte
	iov   iovecs
}

var writings sync.Pool // *writing

func takeWriting() *writing {
	if w, ok := writings.Get().(*writing); ok {
		return w
	}
	return &writing{parts: make([][]byte, 0, partsAtOnce)}
}

func (w *driving) init(c *conn) {
	w.reading = c.readFrom
	w.atOnce = func(fd uintptr) { c.writeTo(int(fd)) }
	w.waiting = func(fd uintptr) (done bool) {
		c.out.mu.Lock()
		defer c.out.mu.Unlock()
		if !c.out.closed {
			c.writeTo(int(fd))
		}
		if c.out.closed || !w.full || w.err != nil {
			c.out.blocked = false
			return true
		}
		return false
	}
}

// readSome waits until something comes, and reads it into the reader's room.
func (c *conn) readSome() (int, error) {
	if err := c.raw.Read(c.drive.reading); err != nil {
		return 0, err
	}
	return c.got, c.readErr
}

// readFrom reads once. It reports whether there was something to read.
func (c *conn) readFrom(fd uintptr) bool {
	room := c.reader.Room()
	c.room = len(room)
	for {
		n, err := syscall.Read(int(fd), room)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			c.idle()
			return false
		case n == 0 && err == nil:
			err = io.EOF
		}
		c.got, c.readErr = n, err
		return true
	}
}

// writeSome writes what waits. done is false if there is no more room.
func (c *conn) writeSome() (done bool, err error) {
	if c.polled.on {
		c.writeTo(c.polled.fd)
	} else if err := c.raw.Control(c.drive.atOnce); err != nil {
		return true, err
	}
	return !c.drive.full, c.drive.err
}

// writeAll writes all that waits, and waits for room where there is none.
func (c *conn) writeAll() error {
	err := c.raw.Write(c.drive.waiting)
	c.out.mu.Lock()
	if err == nil {
		err = c.drive.err // and waiting has said that nobody waits any more
	} else {
		c.out.blocked = false
	}
	c.out.mu.Unlock()
	if err == nil {
		c.drained()
	}
	return err
}

// writeTo writes until nothing waits, there is no more room, or it fails.
func (c *conn) writeTo(fd int) {
	w := &c.drive
	w.full, w.err = false, nil
	list := takeWriting()
	defer writings.Put(list)
	for !c.out.empty() {
		list.parts = c.out.next(list.parts[:0])
		n, err := list.iov.write(fd, list.parts)
		size := 0
		for i := range list.parts {
			size += len(list.parts[i])
			list.parts[i] = nil
		}
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			w.full = true
			return
		case err != nil:
			w.err = err
			return
		}
		if c.sent(n); n < size {
			w.full = true // who waits finds out soon whether there is some again
			return
		}
	}
}
