package adminapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A sentence is an error that is said in other words than its cause.
type sentence struct {
	text string
	err  error // may be nil
}

func (s *sentence) Error() string { return s.text }
func (s *sentence) Unwrap() error { return s.err }

// What a connection reads at whose other end is no HTTP.
var (
	errZeroMQ  = errors.New("it speaks ZeroMQ")
	errNotHTTP = errors.New("it does not speak HTTP")
	errEnded   = errors.New("it ended without a word")
)

// baseURL is where the paths of a target begin.
func baseURL(target string) (string, error) {
	if !strings.Contains(target, "://") {
		host, port, err := net.SplitHostPort(target)
		if n, e := strconv.Atoi(port); err != nil || e != nil || n < 1 || n > 65535 || strings.ContainsAny(host, "/?#@ ") {
			return "", fmt.Errorf("%q is not an address: want HOST:PORT, or an http URL", target)
		}
		if host == "" { // what a listener calls all addresses
			host = "127.0.0.1"
		}
		return "http://" + net.JoinHostPort(host, port), nil
	}
	u, err := url.Parse(target)
	switch {
	case err != nil:
		return "", fmt.Errorf("%q is not a URL: want HOST:PORT, or an http URL", target)
	case u.Scheme == "tcp" || u.Scheme == "ipc":
		return "", fmt.Errorf("%s is an endpoint of ZeroMQ: want HOST:PORT of the broker's --admin, or an http URL", target)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", fmt.Errorf("%q is not an http URL", target)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("%s has more than a host and a path: want http://HOST:PORT", u.Redacted())
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

// transport goes where it is told: not through a proxy, which has no business
// with the token.
func transport(secure bool) *http.Transport {
	dialer := &net.Dialer{Timeout: time.Minute} // the call's own time-out is first
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil || secure {
				return conn, err
			}
			return &firstByte{Conn: conn}, nil
		},
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// noRedirect hands the redirect itself out: the API has none.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// A firstByte is a connection that looks at what comes first, which is the H of
// HTTP. ZeroMQ says ten bytes and then waits for the other side, so that the call
// would wait, too.
type firstByte struct {
	net.Conn
	seen bool
}

func (c *firstByte) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.seen && n == 0 && errors.Is(err, io.EOF) {
		return 0, errEnded
	}
	if n > 0 && !c.seen {
		c.seen = true
		switch b[0] {
		case 'H':
		case 0xFF:
			return 0, errZeroMQ
		default:
			return 0, errNotHTTP
		}
	}
	return n, err
}

// noAnswer says why a call has no answer.
func (c *Client) noAnswer(parent context.Context, err error) error {
	var dns *net.DNSError
	switch {
	case parent.Err() != nil: // the caller has given up
		return parent.Err()
	case errors.Is(err, syscall.ECONNREFUSED):
		return c.say(err, "no admin listener at %s: start the broker with --admin %s", c.target, c.hostPort())
	case errors.Is(err, errZeroMQ):
		return c.say(err, "%s speaks ZeroMQ, not HTTP: give the address of the broker's --admin, not of its --frontend or --backend", c.target)
	case errors.Is(err, context.DeadlineExceeded):
		return c.say(err, "no answer from %s within %s: is the broker stopped or overloaded, or a firewall between?", c.target, c.Timeout)
	case errors.As(err, &dns):
		return c.say(err, "the host of %s is not known: check its name", c.target)
	case errors.Is(err, errNotHTTP) || strings.Contains(err.Error(), "malformed HTTP"):
		return c.notAPI("what is not HTTP")
	case errors.Is(err, errEnded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET):
		return c.say(err, "%s ended the connection without an answer: has the broker just stopped? If it has not, this is no admin listener", c.target)
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	return c.say(err, "cannot reach %s: %s; check the address", c.target, err)
}

// notAPI says that something else than a broker's admin listener answers.
func (c *Client) notAPI(answered string) error {
	return c.say(nil, "%s answers %s: it is another program, not a broker's admin listener; check the address", c.target, answered)
}

func (c *Client) tooLarge(most int64) error {
	return c.say(nil, "%s answers with more than %d bytes: is it a broker's admin listener?", c.target, most)
}

func (c *Client) say(err error, format string, args ...any) error {
	return &sentence{fmt.Sprintf(format, args...), err}
}

// hostPort is the target as --admin takes it.
func (c *Client) hostPort() string {
	if u, err := url.Parse(c.base); err == nil && u.Port() != "" {
		return u.Host
	}
	return c.target
}
