//go:build linux && !netpoller

package zmtplink

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const eventsMax = 512 // connections that one look tells of

// A poller lets the owner of Routers wait for their connections itself: epoll
// tells which have something to read, and the owner reads it, so that no other
// goroutine stands between a peer's bytes and the turn they are for. Listening,
// handshakes and lingering stay with goroutines, and so does all that connects.
//
// It is used where nobody is told of arrivals, and on Linux. With the build tag
// netpoller, and elsewhere, each connection has a goroutine for good.
type poller struct {
	epoll, bell int
	events      [eventsMax]unix.EpollEvent
	watched     []*conn // by descriptor
	looks       uint64
	unread      bool // the last look told of as many connections as it could

	pending atomic.Bool // something is in what follows
	mu      sync.Mutex  // of what follows; the innermost lock
	joining []*conn
	called  []*conn
	closed  bool
}

// polled is what a connection is to a poller. But for on, it is the owner's.
type polled struct {
	on     bool // the poller reads it; guarded by conn.way
	fd     int
	joined bool
	events uint32 // waited for; 0: not known to epoll
	rest   []byte // came with the handshake, and was not looked at
}

// newPoller returns nil if the system has no more descriptors.
func newPoller() *poller {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(bell)})
	}
	if err != nil {
		_ = unix.Close(epoll)
		return nil
	}
	return &poller{epoll: epoll, bell: bell}
}

// ring ends a look that waits, or the next one.
func (p *poller) ring() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		_, _ = unix.Write(p.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // full, it rings already
	}
}

// close is for the owner, when no goroutine of its links is left.
func (p *poller) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	_, _ = unix.Close(p.epoll), unix.Close(p.bell)
}

// join makes c, which has done its handshake, one that the owner reads.
func (p *poller) join(c *conn) {
	p.mu.Lock()
	p.joining = append(p.joining, c)
	p.mu.Unlock()
	p.pending.Store(true)
	c.socket.host.ring()
}

// call lets the owner end c, if it has its reason, and else write what waits to
// be sent, and read.
func (p *poller) call(c *conn) {
	p.mu.Lock()
	p.called = append(p.called, c)
	p.mu.Unlock()
	p.pending.Store(true)
	c.socket.host.ring()
}

// look waits until something comes, for d at most, and reads it. Each connection
// is read at most readsMax times: the rest is there the next time.
func (p *poller) look(d time.Duration) {
	p.looks++
	p.changes()
	n, err := unix.EpollWait(p.epoll, p.events[:], int((d+time.Millisecond-1)/time.Millisecond))
	if err != nil { // interrupted
		n = 0
	}
	p.unread = n == len(p.events)
	for i := range p.events[:n] {
		e := &p.events[i]
		if int(e.Fd) == p.bell {
			var rings [8]byte
			_, _ = unix.Read(p.bell, rings[:])
			continue
		}
		c := p.watched[e.Fd]
		if c.polled.events&unix.EPOLLOUT != 0 && e.Events&^uint32(unix.EPOLLIN) != 0 {
			p.write(c)
		}
		if c.polled.events&unix.EPOLLIN != 0 && e.Events&^uint32(unix.EPOLLOUT) != 0 {
			p.read(c)
		}
	}
	p.changes()
}

// changes takes those that join, and does what it was called for.
func (p *poller) changes() {
	if !p.pending.Swap(false) {
		return
	}
	p.mu.Lock()
	joining, called := p.joining, p.called
	p.joining, p.called = nil, nil
	p.mu.Unlock()
	for _, c := range joining {
		if c.isPolled() {
			p.take(c)
		}
	}
	for _, c := range called {
		c.looking.Store(false)
		if !c.isPolled() {
			continue
		}
		if reason := c.reason.Load(); reason != nil {
			p.over(c, *reason)
		} else if c.polled.joined {
			p.lookAt(c)
		}
	}
}

// lookAt looks whether c has said anything.
func (p *poller) lookAt(c *conn) {
	if p.write(c); c.mayBeHeard() {
		p.read(c)
		c.looks.Add(1)
	}
}

func (p *poller) take(c *conn) {
	for c.polled.fd >= len(p.watched) {
		p.watched = append(p.watched, make([]*conn, c.polled.fd+64-len(p.watched))...)
	}
	p.watched[c.polled.fd] = c
	c.polled.joined = true
	rest := c.polled.rest
	c.polled.rest = nil
	for len(rest) > 0 {
		n := c.takeFrom(rest)
		rest = rest[n:]
		if _, err := c.parse(n); err != nil {
			p.over(c, err)
			return
		}
	}
	p.watch(c)
}

// watch tells epoll what c waits for now.
func (p *poller) watch(c *conn) {
	w := &c.polled
	want := uint32(0)
	if !c.paused {
		want |= unix.EPOLLIN
	}
	if c.out.blocked {
		want |= unix.EPOLLOUT
	}
	if !w.joined || want == w.events {
		return
	}
	op := unix.EPOLL_CTL_MOD
	switch {
	case w.events == 0:
		op = unix.EPOLL_CTL_ADD
	case want == 0: // who hangs up is told of whatever is waited for
		op = unix.EPOLL_CTL_DEL
	}
	w.events = want
	if err := unix.EpollCtl(p.epoll, op, w.fd, &unix.EpollEvent{Events: want, Fd: int32(w.fd)}); err != nil {
		c.end(os.NewSyscallError("epoll_ctl", err))
	}
}

// read reads what c has sent.
func (p *poller) read(c *conn) {
	for range readsMax {
		room := c.reader.Room()
		c.room = len(room)
		n, err := syscall.Read(c.polled.fd, room)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			c.idle()
			return
		case err == nil && n == 0:
			err = io.EOF
		}
		if err != nil {
			p.over(c, readError(err))
			return
		}
		paused, err := c.parse(n)
		if err != nil {
			p.over(c, err)
			return
		}
		if paused {
			p.watch(c)
			return
		}
		if n < len(room) { // that was all
			return
		}
	}
	c.idle() // for it may have been all
}

// write writes what waited for room.
func (p *poller) write(c *conn) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.blocked = false
	c.flush()
	p.watch(c)
}

// over ends c. It must not be called within a method of c's or of its socket's.
func (p *poller) over(c *conn, reason error) {
	if p.forget(c); c.reason.CompareAndSwap(nil, &reason) {
		close(c.ending)
	}
	c.conclude()
}

// forget takes c off what is watched.
func (p *poller) forget(c *conn) {
	w := &c.polled
	if !w.joined {
		return
	}
	p.watched[w.fd] = nil
	if w.events != 0 {
		_ = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, w.fd, nil)
	}
	w.joined, w.events = false, 0
}

func (w *polled) close() { _ = unix.Close(w.fd) }

// change makes c one that a poller reads, if its host has one: from now on its
// descriptor is another one, of which Go's netpoller does not know.
func (c *conn) change(rest []byte) bool {
	if c.socket.host.poller == nil {
		return false
	}
	fd, err := -1, error(nil)
	if e := c.raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }); e != nil || err != nil {
		return false
	}
	c.way.Lock()
	defer c.way.Unlock()
	if c.reason.Load() != nil {
		_ = unix.Close(fd)
		return false
	}
	_ = c.net.Close()
	c.polled = polled{on: true, fd: fd, rest: rest}
	return true
}

// changeBack makes c, which a poller reads, a goroutine's again.
func (c *conn) changeBack() {
	p := c.socket.host.poller
	p.forget(c)
	file := os.NewFile(uintptr(c.polled.fd), "")
	nc, err := net.FileConn(file)
	_ = file.Close()
	c.out.mu.Lock() // for its READY may be under way
	c.way.Lock()
	c.polled.on = false
	if err == nil {
		c.net = nc
		c.raw, err = nc.(syscall.Conn).SyscallConn()
	}
	c.out.blocked = false
	c.way.Unlock()
	c.out.mu.Unlock()
	if err != nil {
		c.end(err)
		c.conclude()
		return
	}
	c.socket.host.running.Add(1)
	go func() {
		defer c.socket.host.running.Done()
		c.end(c.read(c.polled.rest))
		c.conclude()
	}()
}
