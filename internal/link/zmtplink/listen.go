package zmtplink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/privateer-mq/privateer/internal/link/endpoint"
)

// A listener is one endpoint that a Router has bound.
type listener struct {
	socket *socket
	net    net.Listener
	folder string // made for ipc://*, to be removed
}

// bind binds all endpoints or none.
func (s *socket) bind(targets []endpoint.Target) error {
	for i := range targets {
		l, err := s.listen(&targets[i])
		if err != nil {
			for _, l := range s.listeners {
				l.close()
			}
			return err
		}
		s.listeners = append(s.listeners, l)
	}
	for _, l := range s.listeners {
		s.host.running.Add(1)
		go l.accept()
	}
	return nil
}

func (s *socket) listen(t *endpoint.Target) (*listener, error) {
	l := &listener{socket: s}
	config := net.ListenConfig{KeepAliveConfig: keepAlive}
	network, address := "unix", t.Path
	var err error
	switch {
	case t.TCP:
		if network, address, err = bindAddress(t); err != nil {
			return nil, t.BindError(err, syscall.EADDRNOTAVAIL)
		}
	case t.Path == endpoint.Any:
		if l.folder, err = os.MkdirTemp("", "zmtp"); err != nil {
			return nil, fmt.Errorf("bind %s: %w", t.Given, err)
		}
		address = filepath.Join(l.folder, "socket")
	default:
		if err := t.RefuseTaken(); err != nil {
			return nil, err
		}
		if t.InFiles() {
			_ = os.Remove(t.Path) // left behind; if it cannot be removed, binding says so
		}
	}
	mode := s.options.IPCMode
	if !t.InFiles() {
		mode = 0
	}
	if mode != 0 { // the file is never open wider than that, whatever the umask
		config.Control = func(_, _ string, raw syscall.RawConn) error { return setMode(raw, mode) }
	}
	if l.net, err = config.Listen(context.Background(), network, address); err == nil && mode != 0 {
		if err = os.Chmod(t.Path, mode); err != nil {
			l.close()
		}
	}
	if err != nil {
		l.removeFolder()
		var errno syscall.Errno
		if err = plain(err); errors.As(err, &errno) {
			err = errno // without the name of the call
		}
		return nil, t.BindError(err, errno)
	}
	if t.TCP {
		s.addr = "tcp://" + l.net.Addr().String()
	} else {
		s.addr = "ipc://" + address
	}
	return l, nil
}

// plain is the system's error, without Go's names for what it did.
func plain(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// bindAddress says what to listen at. As libzmq does, * means all IPv4
// addresses.
func bindAddress(t *endpoint.Target) (network, address string, err error) {
	host, port := t.Host, t.Port
	if port == endpoint.Any {
		port = "0"
	}
	if t.IPv6 {
		return "tcp6", net.JoinHostPort(host, port), nil
	}
	if host == endpoint.Any {
		host = "0.0.0.0"
	} else if _, err := netip.ParseAddr(host); err != nil {
		if host, err = interfaceAddress(host); err != nil {
			return "", "", err
		}
	}
	return "tcp4", net.JoinHostPort(host, port), nil
}

// interfaceAddress is an interface's IPv4 address, or else another one.
func interfaceAddress(name string) (string, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return "", err
	}
	addresses, err := i.Addrs()
	if err != nil {
		return "", err
	}
	found := ""
	for _, a := range addresses {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		if prefix.Addr().Is4() {
			return prefix.Addr().String(), nil
		}
		if found == "" {
			found = prefix.Addr().WithZone(name).String()
		}
	}
	if found == "" {
		return "", fmt.Errorf("interface %s has no address", name)
	}
	return found, nil
}

func (l *listener) close() {
	_ = l.net.Close()
	l.removeFolder()
}

func (l *listener) removeFolder() {
	if l.folder != "" {
		_ = os.RemoveAll(l.folder)
	}
}

// accept takes connections until the link is closed.
func (l *listener) accept() {
	s := l.socket
	defer s.host.running.Done()
	var trouble time.Duration
	for {
		nc, err := l.net.Accept()
		if s.ctx.Err() != nil {
			if err == nil {
				_ = nc.Close()
			}
			return
		}
		if err != nil {
			// Out of descriptors or of memory: both take a while to end.
			s.setTrouble(fmt.Sprintf("accept at %s: %v", s.addr, err))
			trouble = min(max(2*trouble, 10*time.Millisecond), time.Second)
			s.pauseAccepting(trouble, func() bool { return true })
			continue
		}
		trouble = 0
		tune(nc)
		c, err := newConn(s, nc)
		if err != nil {
			_ = nc.Close()
			continue
		}
		s.stats.accepted.Add(1)
		s.host.running.Add(1)
		isFew := few(c)
		go func() {
			defer s.host.running.Done()
			_, _ = c.run(false, time.Now().Add(s.host.handshake)) // it is counted why
		}()
		s.awaitRoom(isFew)
	}
}

// awaitRoom waits while descriptors are few, or too many connections that have
// ended were not read.
func (s *socket) awaitRoom(isFew bool) {
	if isFew {
		s.pauseAccepting(pauseLook, enough)
	}
	if s.unreadEnds() > endedMax {
		s.pauseAccepting(pauseLook, func() bool { return s.unreadEnds() <= endedMax/2 })
	}
}

func (s *socket) unreadEnds() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

const pauseLook = 100 * time.Millisecond

// pauseAccepting waits until done, which it asks at every look, or until the
// link is closed.
func (s *socket) pauseAccepting(look time.Duration, done func() bool) {
	s.stats.pauses.Add(1)
	s.stats.pausing.Store(true)
	s.host.Wake() // so that it can be said
	defer func() {
		s.stats.pausing.Store(false)
		s.host.Wake()
	}()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
			if done() {
				return
			}
		}
	}
}
