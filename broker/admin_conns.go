package broker

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// A limited listener has so many connections at a time. Where there are as many, a
// new one takes the place of one that has shown no token and is of little use, so that
// nobody can keep health checks out by keeping connections open.
type limited struct {
	net.Listener
	most int

	mu    sync.Mutex
	conns map[*limitedConn]struct{}
	freed chan struct{} // has room for one
}

func newLimited(l net.Listener, most int) *limited {
	return &limited{Listener: l, most: most, conns: map[*limitedConn]struct{}{}, freed: make(chan struct{}, 1)}
}

// A limitedConn is one connection. What it is used for is the listener's, under its lock.
type limitedConn struct {
	net.Conn
	of    *limited
	since time.Time // when it came, or ended a request last
	calls int       // requests that are being answered
	token bool      // it has shown one
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &limitedConn{Conn: nc, of: l, since: time.Now()}
	for {
		l.mu.Lock()
		var least *limitedConn
		if len(l.conns) < l.most {
			l.conns[c] = struct{}{}
			l.mu.Unlock()
			return c, nil
		}
		for other := range l.conns {
			if !(other.token && other.calls > 0) && (least == nil || other.below(least)) {
				least = other
			}
		}
		l.mu.Unlock()
		if least != nil {
			_ = least.Close() // whoever uses it sees that
		} else {
			<-l.freed // all of them are at work for somebody who may
		}
	}
}

// below reports whether c is to go before other: first who has shown no token, then
// who waits for nothing, then who has been so the longest.
func (c *limitedConn) below(other *limitedConn) bool {
	switch {
	case c.token != other.token:
		return other.token
	case (c.calls > 0) != (other.calls > 0):
		return other.calls > 0
	}
	return c.since.Before(other.since)
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	l := c.of
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	select {
	case l.freed <- struct{}{}:
	default:
	}
	return c.Conn.Close()
}

type connKey struct{}

// withConn has requests know their connection.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// use changes what is known of the connection that r came on.
func use(r *http.Request, change func(*limitedConn)) {
	if c, ok := r.Context().Value(connKey{}).(*limitedConn); ok {
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		change(c)
	}
}

// counted says of a connection while it has a request answered, and ends those afterwards
// that have shown no token where one is needed.
func (a *admin) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown := len(a.token) > 0 && a.authorized(r)
		if len(a.token) > 0 && !shown {
			w.Header().Set("Connection", "close")
		}
		use(r, func(c *limitedConn) { c.calls++; c.token = c.token || shown })
		defer use(r, func(c *limitedConn) { c.calls--; c.since = time.Now() })
		next.ServeHTTP(w, r)
	})
}
