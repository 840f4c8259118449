package zmqlink

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/pebbe/zmq4"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/endpoint"
)

// What every socket has in common, whoever opens it.
const (
	handshakeTimeout  = 5 * time.Second // a peer that connects and says nothing
	backlog           = 1024            // connections not yet accepted
	keepAlive         = 1
	keepAliveIdle     = 15 // seconds
	keepAliveInterval = 5  // seconds
	keepAliveCount    = 3
	unheardMax        = 30 * time.Second // how long what was sent may stay unacknowledged, where the system has that bound
)

// Open makes a link. tcp://address:0 and tcp://address:* bind any free port;
// Addr then tells which.
func (h *host) Open(o link.Options) (link.Link, error) {
	o, err := o.Checked()
	if err != nil {
		return nil, err
	}
	if h.closed {
		return nil, fmt.Errorf("%s %s: %w", o.Role.Verb(), o.Endpoints[0], link.ErrClosed)
	}
	o.Endpoints = slices.Clone(o.Endpoints)
	targets := make([]endpoint.Target, len(o.Endpoints))
	for i, given := range o.Endpoints {
		if targets[i], err = endpoint.Parse(o.Role, given); err != nil {
			return nil, err
		}
	}
	kind := map[link.Role]zmq4.Type{link.Router: zmq4.ROUTER, link.Dealer: zmq4.DEALER, link.Req: zmq4.REQ}[o.Role]
	seedRandom() // of which libzmq makes its routing ids, or two processes may give out the same
	raw, err := h.context.NewSocket(kind)
	if err != nil {
		return nil, fmt.Errorf("open %s socket for %s: %w", o.Role, o.Endpoints[0], socketReason(err))
	}
	s := &socket{host: h, options: o, socket: raw}
	if s.raw, err = newRaw(raw, &h.pool, &s.options); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s socket for %s: %w", o.Role, o.Endpoints[0], err), raw.Close())
	}
	// From here on the link is the host's; closing it undoes everything.
	h.sockets = append(h.sockets, s)
	h.waiterStale = true
	h.lingerLong = max(h.lingerLong, o.Linger)
	if err := s.start(targets); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *socket) start(targets []endpoint.Target) error {
	if err := setOptions(s.socket, s.options); err != nil {
		return fmt.Errorf("set up %s socket for %s: %w", s.options.Role, s.options.Endpoints[0], err)
	}
	if s.options.Monitor {
		// Before any connection can be made, so that none goes unreported.
		if err := s.startMonitor(); err != nil {
			return err
		}
	}
	for _, t := range targets {
		if err := s.attach(t); err != nil {
			return err
		}
	}
	return nil
}

// attach binds or connects to one endpoint.
func (s *socket) attach(t endpoint.Target) error {
	// Only where it is needed: with IPv6 on, libzmq would resolve host names
	// to IPv6 addresses on which the other side may not listen.
	if err := s.socket.SetIpv6(t.IPv6); err != nil {
		return fmt.Errorf("%s %s: set IPv6: %w", s.options.Role.Verb(), t.Given, err)
	}
	if s.options.Role != link.Router {
		s.addr = t.Given
		if err := again(func() error { return s.socket.Connect(t.Endpoint) }); err != nil {
			return fmt.Errorf("connect %s: %w", t.Given, err)
		}
		return nil
	}
	if err := t.RefuseTaken(); err != nil {
		return err
	}
	if err := again(func() error { return s.socket.Bind(t.Endpoint) }); err != nil {
		return bindError(&t, err)
	}
	addr, err := s.socket.GetLastEndpoint()
	if err != nil {
		return fmt.Errorf("bind %s: read the bound address: %w", t.Given, err)
	}
	s.addr = addr
	if s.options.IPCMode != 0 && t.InFiles() {
		if err := os.Chmod(t.Path, s.options.IPCMode); err != nil {
			return fmt.Errorf("bind %s: %w", t.Given, err)
		}
	}
	return nil
}

// setOptions sets everything that must be set before bind or connect.
func setOptions(raw *zmq4.Socket, o link.Options) error {
	frameMax := o.FrameBytesMax
	if frameMax == 0 {
		frameMax = -1 // libzmq's "no bound"
	}
	err := errors.Join(
		// First: a socket that is closed half set up must not linger.
		raw.SetLinger(ceilMillis(o.Linger)),
		raw.SetSndhwm(o.SendMax),
		raw.SetRcvhwm(o.RecvMax),
		raw.SetMaxmsgsize(frameMax),
		raw.SetHandshakeIvl(handshakeTimeout),
		raw.SetTcpKeepalive(keepAlive),
		raw.SetTcpKeepaliveIdle(keepAliveIdle),
		raw.SetTcpKeepaliveIntvl(keepAliveInterval),
		raw.SetTcpKeepaliveCnt(keepAliveCount),
		raw.SetTcpMaxrt(unheardMax),
	)
	if o.Role == link.Router {
		return errors.Join(err,
			raw.SetRouterMandatory(1), // or messages to unknown peers vanish
			raw.SetRouterHandover(o.Handover),
			raw.SetBacklog(backlog),
		)
	}
	err = errors.Join(err,
		raw.SetImmediate(true), // or messages to a dead endpoint pile up
		raw.SetReconnectIvl(ceilMillis(o.ReconnectMin)),
		raw.SetReconnectIvlMax(ceilMillis(o.ReconnectMax)),
		raw.SetConnectTimeout(ceilMillis(o.ConnectTimeout)),
	)
	if len(o.Identity) > 0 {
		err = errors.Join(err, raw.SetIdentity(string(o.Identity)))
	}
	return err
}

// bindError says what libzmq's error means and what to do.
func bindError(t *endpoint.Target, err error) error {
	errno := zmq4.AsErrno(err)
	if errno == zmq4.EADDRINUSE { // libzmq has numbers of its own where a system has none
		return t.BindError(err, syscall.EADDRINUSE)
	}
	if errno == zmq4.EADDRNOTAVAIL {
		return t.BindError(err, syscall.EADDRNOTAVAIL)
	}
	return t.BindError(err, syscall.Errno(errno))
}

// socketReason explains why libzmq could not make a socket.
func socketReason(err error) error {
	if errno := syscall.Errno(zmq4.AsErrno(err)); link.NoFiles(errno) {
		return fmt.Errorf("%w: too many sockets or open files: %s", errno, link.FilesAdvice)
	}
	return err
}
