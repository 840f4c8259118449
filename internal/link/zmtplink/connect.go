package zmtplink

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/privateer-mq/privateer/internal/link/endpoint"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
)

const (
	resolveTimeout = time.Second            // one look-up of a host's name
	nextAddress    = 250 * time.Millisecond // until another address of a host is tried beside the one before
	// usefulAfter is how long a connection must have lived to be of use, if no
	// message came on it. One that was not keeps waits doubling: a proxy
	// without a backend accepts and closes at once.
	usefulAfter = 5 * time.Second
)

// connect keeps a Dealer or Req link connected until it is closed, or until its
// peer has sent a frame that is too large: from there on it stays disconnected.
func (s *socket) connect(t endpoint.Target) {
	defer s.host.running.Done()
	d := dialer{target: t, resolver: s.host.resolver}
	waits := backOff{host: s.host, endpoint: t.Endpoint,
		least: s.options.ReconnectMin, most: max(s.options.ReconnectMin, s.options.ReconnectMax)}
	for pause := waits.begin(); ; {
		if pause > 0 && !s.rest(pause) {
			return
		}
		accepted, useful, reason := s.attempt(&d)
		var fault *zmtp.Error
		if s.ctx.Err() != nil || errors.As(reason, &fault) && fault.Kind == zmtp.FrameTooLarge {
			return
		}
		pause = waits.next(accepted, useful)
	}
}

// rest reports whether it waited for d, and not for the link's end.
func (s *socket) rest(d time.Duration) bool {
	pause := time.NewTimer(d)
	defer pause.Stop()
	select {
	case <-pause.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// attempt connects once, and returns when that connection is over. accepted: there
// was one.
func (s *socket) attempt(d *dialer) (accepted, useful bool, reason error) {
	ctx, cancel := s.ctx, context.CancelFunc(func() {})
	deadline := time.Now().Add(s.host.handshake)
	if limit := s.options.ConnectTimeout; limit > 0 {
		deadline = time.Now().Add(limit)
		ctx, cancel = context.WithDeadline(s.ctx, deadline)
	}
	nc, err := d.dial(ctx)
	cancel()
	if err == nil {
		var c *conn
		if s.options.ConnectTimeout == 0 {
			deadline = time.Now().Add(s.host.handshake)
		}
		if c, err = newConn(s, nc); err == nil {
			s.stats.accepted.Add(1)
			useful, reason = c.run(true, deadline)
			return true, useful, reason
		}
		_ = nc.Close()
	}
	if s.ctx.Err() == nil {
		s.stats.dialsFailed.Add(1)
		s.setTrouble(d.target.ConnectError(err).Error())
	}
	return false, false, err
}

// newResolver makes what host names are looked up by: as net.DefaultResolver says,
// but by Go's own resolver, where the system's would hold a thread until it has
// given up itself.
func newResolver() *net.Resolver {
	d := net.DefaultResolver
	return &net.Resolver{PreferGo: d.PreferGo || runtime.GOOS == "linux", StrictErrors: d.StrictErrors, Dial: d.Dial}
}

// A dialer connects to one endpoint, again and again.
type dialer struct {
	target   endpoint.Target
	resolver *net.Resolver
	known    []netip.Addr // what the host's name meant last
}

func (d *dialer) dial(ctx context.Context) (net.Conn, error) {
	if !d.target.TCP {
		var nd net.Dialer
		return nd.DialContext(ctx, "unix", d.target.Path)
	}
	if address, err := netip.ParseAddr(d.target.Host); err == nil {
		return d.dialAddress(ctx, address)
	}
	addresses, err := d.resolve(ctx)
	if err != nil {
		return nil, err
	}
	return d.race(ctx, addresses)
}

// resolve asks what the host's name means now. If nobody can tell, it still
// means what it meant before.
func (d *dialer) resolve(ctx context.Context) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	addresses, err := d.resolver.LookupNetIP(ctx, "ip", d.target.Host)
	if err == nil && len(addresses) > 0 {
		d.known = addresses
	}
	if len(d.known) == 0 {
		return nil, err
	}
	return d.known, nil
}

// race tries the addresses one after the other, the next when the one before
// has failed or taken its time, and returns the first connection.
func (d *dialer) race(ctx context.Context, addresses []netip.Addr) (net.Conn, error) {
	if len(addresses) == 1 {
		return d.dialAddress(ctx, addresses[0])
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		nc  net.Conn
		err error
	}
	results := make(chan result, len(addresses))
	next := time.NewTimer(0)
	defer next.Stop()
	var errs []error
	for started := 0; len(errs) < len(addresses); {
		select {
		case <-next.C:
			if started == len(addresses) {
				continue
			}
			address := addresses[started]
			started++
			go func() {
				nc, err := d.dialAddress(ctx, address)
				results <- result{nc, err}
			}()
			next.Reset(nextAddress)
		case r := <-results:
			if r.err != nil {
				errs = append(errs, r.err)
				next.Reset(0)
				continue
			}
			go func() { // those that come too late
				for left := started - len(errs) - 1; left > 0; left-- {
					if late := <-results; late.err == nil {
						_ = late.nc.Close()
					}
				}
			}()
			return r.nc, nil
		}
	}
	return nil, errors.Join(errs...)
}

func (d *dialer) dialAddress(ctx context.Context, address netip.Addr) (net.Conn, error) {
	nd := net.Dialer{KeepAliveConfig: keepAlive}
	nc, err := nd.DialContext(ctx, "tcp", net.JoinHostPort(address.Unmap().String(), d.target.Port))
	if err == nil {
		tune(nc)
	}
	return nc, err
}
