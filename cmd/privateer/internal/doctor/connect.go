package doctor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"
)

// The steps up to a ZeroMQ connection that stands.

// dns finds the addresses of a name.
func (p *patient) dns(ctx context.Context) (string, error) {
	if p.path != "" {
		return "", errSkip
	}
	if a, err := netip.ParseAddr(p.host); err == nil {
		p.addrs = []string{a.String()}
		return p.host + " is an address", nil
	}
	found, err := p.resolver.LookupNetIP(ctx, "ip", p.host)
	if err == nil && len(found) > 0 {
		hint := " (IPv6 only: peers on libzmq need the address, not the name)"
		for _, a := range found {
			if p.addrs = append(p.addrs, a.Unmap().String()); a.Unmap().Is4() {
				hint = ""
			}
		}
		return p.host + " is " + strings.Join(p.addrs, ", ") + hint, nil
	}
	var de *net.DNSError
	if errors.As(err, &de) && de.IsNotFound {
		return "", &problem{fmt.Sprintf("no host is named %q", p.host), "check the spelling of the host name, or write its IP address"}
	}
	return "", &problem{fmt.Sprintf("%q cannot be looked up: %v", p.host, err), "check that this machine's name server can be reached, or write the IP address"}
}

func (p *patient) tcp(ctx context.Context) (string, error) {
	if p.path != "" {
		return p.ipc(ctx)
	}
	var err error
	for i, a := range p.addrs {
		began := time.Now()
		if p.conn, err = dial(ctx, net.JoinHostPort(a, p.port), left(ctx, len(p.addrs)-i)); err == nil {
			p.connTook = time.Since(began)
			context.AfterFunc(ctx, func() { _ = p.conn.SetDeadline(time.Now()) })
			return "connected to " + net.JoinHostPort(a, p.port), nil
		}
	}
	p.conn = nil
	return "", p.refusal(err)
}

func dial(ctx context.Context, address string, d time.Duration) (net.Conn, error) {
	dialer := net.Dialer{Timeout: max(d, time.Millisecond)}
	return dialer.DialContext(ctx, "tcp", address)
}

// refusal says why there is no connection.
func (p *patient) refusal(err error) error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return &problem{"connection refused", fmt.Sprintf("start the broker, or write the port where its log says that it listens: nothing does on port %s of %s", p.port, p.host)}
	case errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH):
		return &problem{"no route to " + p.host, "check the address, and the network between this machine and the broker's"}
	case errors.Is(err, syscall.EMFILE):
		return &problem{"too many open files", "raise the limit of this process (ulimit -n), or look for what keeps so many open"}
	case timedOut(err):
		return &problem{"no answer to the connection", "check the address, and that no firewall drops what goes to port " + p.port}
	}
	return &problem{err.Error(), "check the address and the port"}
}

func timedOut(err error) bool {
	var ne net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

// greet exchanges the greetings of ZMTP. The peer's first byte already tells
// ZeroMQ from everything else.
func (p *patient) greet(ctx context.Context) (string, error) {
	p.wire = wire{p.conn, bufio.NewReader(p.conn)}
	if err := p.wire.write(ourGreeting()); err != nil {
		return "", closed(err)
	}
	if err := p.conn.SetReadDeadline(time.Now().Add(left(ctx, 2))); err != nil {
		return "", err
	}
	head, err := p.wire.r.Peek(1)
	switch {
	case timedOut(err):
		return "", p.silence(ctx)
	case err != nil:
		return "", closed(err)
	case head[0] != 0xff:
		return "", p.foreign()
	}
	head, err = p.wire.r.Peek(signatureBytes + 1)
	switch {
	case len(head) > signatureBytes-1 && head[signatureBytes-1]&1 == 0:
		return "", p.foreign()
	case err != nil:
		return "", unfinished(err)
	case head[signatureBytes] < 3:
		return "", &problem{fmt.Sprintf("ZMTP %s", []string{"1.0", "2.0", "2.1"}[head[signatureBytes]]),
			"check the port, or update what listens there: its ZeroMQ is older than 4.0 (2013), and Privateer needs ZMTP 3"}
	}
	whole := make([]byte, greetingBytes)
	if _, err := io.ReadFull(p.wire.r, whole); err != nil {
		return "", unfinished(err)
	}
	p.peer = greeting{whole[10], whole[11], mechanismOf(whole)}
	return fmt.Sprintf("ZMTP %d.%d", p.peer.major, p.peer.minor), nil
}

func closed(err error) error {
	if timedOut(err) {
		return &problem{"nothing can be sent", "look whether the process that listens there still runs"}
	}
	return &problem{"it closed the connection without a word", "check the port: another kind of server listens there, or a proxy whose broker is not running"}
}

func unfinished(err error) error {
	if timedOut(err) {
		return &problem{"the greeting begins like ZeroMQ and does not go on", "look at the process that listens there, and restart it: it hangs"}
	}
	return &problem{"the connection ended within the greeting", "look at the log of what listens there: it refuses this client, or is being stopped"}
}

// silence tells a web server, which waits for a line, from a port that says
// nothing at all.
func (p *patient) silence(ctx context.Context) error {
	quiet := &problem{"it accepts the connection and says nothing", "check the port, and if a broker listens there restart it: it hangs or is stopped"}
	if p.path != "" {
		return quiet
	}
	c, err := dial(ctx, p.conn.RemoteAddr().String(), left(ctx, 2))
	if err != nil {
		return quiet
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(left(ctx, 2)))
	_, _ = io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
	head := make([]byte, len("HTTP/"))
	if _, err := io.ReadFull(c, head); err == nil && string(head) == "HTTP/" {
		return webServer
	}
	return quiet
}

var webServer = &problem{"a web server (HTTP)", "write the broker's front port (5555) or back port (5556), not that of a web page"}

// foreign says what speaks there, if not ZMTP 3.
func (p *patient) foreign() error {
	_ = p.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) // what has begun to come
	head, _ := p.wire.r.Peek(greetingBytes)
	head = bytes.Clone(head)
	switch {
	case bytes.HasPrefix(head, []byte("HTTP/")):
		return webServer
	case len(head) >= 2 && (head[0] == 0x15 || head[0] == 0x16) && head[1] == 3:
		return &problem{"a TLS server", "check the port, and any proxy in between: Privateer speaks plain TCP"}
	case len(head) >= 2 && head[0] > 0 && head[1] == 0 && len(head) <= 1+int(head[0]):
		return &problem{"ZMTP 1.0", "check the port, or update what listens there: its ZeroMQ is older than 4.0 (2013), and Privateer needs ZMTP 3"}
	}
	return &problem{fmt.Sprintf("it does not speak ZeroMQ: it says %.40q", head), "check the port: another kind of server listens there"}
}

func (p *patient) mechanism(context.Context) (string, error) {
	if p.peer.mechanism == "NULL" {
		return "NULL", nil
	}
	return "", &problem{fmt.Sprintf("it demands %q", p.peer.mechanism),
		"check the port, or take the security settings off what listens there: Privateer has no keys and no passwords yet"}
}

// socket takes the peer's READY and, if that is a ROUTER's, says our own.
func (p *patient) socket(ctx context.Context) (string, error) {
	name, data, err := p.wire.command(time.Now().Add(left(ctx, 2)))
	switch {
	case timedOut(err):
		return "", &problem{"no READY after the greeting", "look at the process that listens there, and restart it: it hangs"}
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
		return "", &problem{"it closed the connection after the greeting", "look at the log of what listens there: it refuses this client"}
	case err != nil:
		return "", &problem{err.Error(), "check the port: another kind of server listens there"}
	case name == "ERROR":
		return "", &problem{fmt.Sprintf("it refuses this client: %.80q", data[min(1, len(data)):]), "ask who runs it: its access rules (ZAP) do not admit this machine"}
	case name != "READY":
		return "", &problem{fmt.Sprintf("%.40q came instead of READY", name), "check the port: another kind of server listens there"}
	}
	kind := properties(data)["socket-type"]
	if kind != "ROUTER" {
		return "", &problem{fmt.Sprintf("a %.20q socket, not a ROUTER", kind), "check the port: a ZeroMQ program listens there, but no broker of Privateer"}
	}
	ready := appendProperty(nil, "Socket-Type", "DEALER")
	ready = appendProperty(ready, "Identity", string(random(16)))
	return kind, p.wire.sendCommand("READY", ready)
}
