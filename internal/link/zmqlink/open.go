package zmqlink

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/pebbe/zmq4"

	"github.com/privateer-mq/privateer/internal/link"
)

// What every socket has in common, whoever opens it.
const (
	handshakeTimeout  = 5 * time.Second // a peer that connects and says nothing
	backlog           = 1024            // connections not yet accepted
	keepAlive         = 1
	keepAliveIdle     = 15 // seconds
	keepAliveInterval = 5  // seconds
	keepAliveCount    = 3
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
	targets := make([]target, len(o.Endpoints))
	for i, endpoint := range o.Endpoints {
		if targets[i], err = parseEndpoint(o.Role, endpoint); err != nil {
			return nil, err
		}
	}
	kind := map[link.Role]zmq4.Type{link.Router: zmq4.ROUTER, link.Dealer: zmq4.DEALER, link.Req: zmq4.REQ}[o.Role]
	raw, err := h.context.NewSocket(kind)
	if err != nil {
		return nil, fmt.Errorf("open %s socket for %s: %w", o.Role, o.Endpoints[0], socketReason(err))
	}
	s := &socket{host: h, options: o, socket: raw}
	if !h.plain {
		s.raw, _ = newRaw(raw, &h.pool, o.Lend) // plain calls where it is not possible
	}
	// From here on the link is the host's; closing it undoes everything.
	h.sockets = append(h.sockets, s)
	h.pollerStale = true
	h.lingerLong = max(h.lingerLong, o.Linger)
	if err := s.start(targets); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *socket) start(targets []target) error {
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
func (s *socket) attach(t target) error {
	// Only where it is needed: with IPv6 on, libzmq would resolve host names
	// to IPv6 addresses on which the other side may not listen.
	if err := s.socket.SetIpv6(t.ipv6); err != nil {
		return fmt.Errorf("%s %s: set IPv6: %w", s.options.Role.Verb(), t.given, err)
	}
	if s.options.Role != link.Router {
		s.addr = t.given
		if err := again(func() error { return s.socket.Connect(t.endpoint) }); err != nil {
			return fmt.Errorf("connect %s: %w", t.given, err)
		}
		return nil
	}
	if err := t.refuseTaken(); err != nil {
		return err
	}
	if err := again(func() error { return s.socket.Bind(t.endpoint) }); err != nil {
		return bindError(t, err)
	}
	addr, err := s.socket.GetLastEndpoint()
	if err != nil {
		return fmt.Errorf("bind %s: read the bound address: %w", t.given, err)
	}
	s.addr = addr
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

// socketReason explains why libzmq could not make a socket.
func socketReason(err error) error {
	if zmq4.AsErrno(err) == zmq4.Errno(syscall.EMFILE) {
		return fmt.Errorf("%w: too many sockets or open files: raise the limit of open files (ulimit -n), or open fewer links", err)
	}
	return err
}
