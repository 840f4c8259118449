package zmtplink

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/endpoint"
)

const patience = 20 * time.Second

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// A name that has several addresses is reached at the one that answers, and a
// silent name server is waited for a second at most; what a name meant before
// is remembered.
func TestResolve(t *testing.T) {
	at := listen(t, "tcp4", "127.0.0.1:0")
	_, port, err := net.SplitHostPort(at.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d := dialer{target: endpoint.Target{TCP: true, Host: "broker.invalid", Port: port}}
	d.known = []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.1")} // nobody listens at the first
	silent, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	d.resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var nd net.Dialer
		return nd.DialContext(ctx, "udp4", silent.LocalAddr().String())
	}}
	start := time.Now()
	nc, err := d.dial(context.Background())
	if took := time.Since(start); err != nil || took < resolveTimeout/2 || took > 4*resolveTimeout {
		t.Fatalf("%v after %v", err, took)
	}
	_ = nc.Close()
	// The next is tried as soon as one has failed.
	many := []netip.Addr{}
	for i := range 40 {
		many = append(many, netip.AddrFrom4([4]byte{127, 0, 1, byte(i)}))
	}
	start = time.Now()
	if nc, err = d.race(context.Background(), append(many, netip.MustParseAddr("127.0.0.1"))); err != nil || time.Since(start) > 20*nextAddress {
		t.Fatalf("%v after %v", err, time.Since(start))
	}
	_ = nc.Close()
	d.known = nil
	if nc, err = d.dial(context.Background()); err == nil {
		_ = nc.Close()
		t.Fatal("a name that nobody knows was reached")
	}
	local := dialer{resolver: net.DefaultResolver, target: endpoint.Target{TCP: true, Host: "localhost", Port: port}}
	if nc, err = local.dial(context.Background()); err != nil {
		t.Fatal(err)
	}
	_ = nc.Close()
}

// Whoever accepts and closes at once is asked less and less often.
func TestBackOff(t *testing.T) {
	at := listen(t, "tcp4", "127.0.0.1:0")
	h := New(nil)
	defer h.Close()
	const least = 10 * time.Millisecond
	start := time.Now()
	l, err := h.Open(link.Options{Role: link.Dealer, Endpoints: []string{"tcp://" + at.Addr().String()}, ReconnectMin: least, ReconnectMax: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 6 {
		nc, err := at.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.Close()
		// n waits lie behind it, of at least half of least, 2 × least, …
		if took, want := time.Since(start), least/2*(1<<n-1); took < want {
			t.Fatalf("attempt %d after %v, want %v at least", n+1, took, want)
		}
	}
	if st := l.(link.Observed).Stats(); !strings.Contains(st.LastTrouble, "closed the connection before the handshake was done") && !strings.Contains(st.LastTrouble, "reset") {
		t.Errorf("the last trouble is %q", st.LastTrouble)
	}
}

// A connection is given up for good only for a frame that is too large: whatever
// else comes is tried again, and the reason can be read.
func TestTrouble(t *testing.T) {
	h := New(nil)
	defer h.Close()
	at := listen(t, "tcp4", "127.0.0.1:0")
	l, err := h.Open(link.Options{Role: link.Dealer, Endpoints: []string{"tcp://" + at.Addr().String()}, ReconnectMin: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		nc, err := at.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n")); err != nil {
			t.Fatal(err)
		}
		_ = nc.SetReadDeadline(time.Now().Add(patience))
		for b := make([]byte, 1000); err == nil; {
			_, err = nc.Read(b)
		}
		_ = nc.Close()
	}
	if st := l.(link.Observed).Stats(); st.BadHandshakes == 0 || !strings.Contains(st.LastTrouble, `no greeting of ZMTP: it begins with "SSH-`) {
		t.Errorf("%+v", st)
	}
}

// The order of a list of connections, whoever leaves it.
func TestOrderedList(t *testing.T) {
	var l orderedList
	conns := make([]*conn, 5)
	for i := range conns {
		conns[i] = &conn{}
		l.add(conns[i])
	}
	for _, i := range []int{2, 0, 4, 2} { // the last is gone already
		leave(conns[i])
	}
	if l.count != 2 || l.first != conns[1] || l.last != conns[3] || conns[1].order.next != conns[3] || conns[3].order.prev != conns[1] {
		t.Fatalf("%+v", l)
	}
	leave(conns[1])
	leave(conns[3])
	if l != (orderedList{}) {
		t.Fatalf("%+v", l)
	}
}

// A queue gives back what was put, and its memory.
func TestQueue(t *testing.T) {
	var q queue
	in, out, takes := 0, 0, int64(0)
	for round := range 3000 {
		for range round % 7 {
			takes += q.push(entry{kind: link.Kind(in)})
			in++
		}
		for range round % 6 {
			if q.len() > 0 {
				e, less := q.pop()
				if e.kind != link.Kind(out) {
					t.Fatalf("%d came, want %d", e.kind, link.Kind(out))
				}
				takes -= less
				out++
			}
		}
	}
	if least := int64(q.len()) * int64(unsafe.Sizeof(entry{})); takes < least || takes > least+3*segmentBytes+least/8 {
		t.Fatalf("%d entries are said to take %d bytes", q.len(), takes)
	}
	for ; q.len() > 0; out++ {
		_, less := q.pop()
		takes -= less
	}
	if in != out || takes != 0 || q.first != nil || q.last != nil {
		t.Fatalf("%d in, %d out, %d bytes are left, %+v", in, out, takes, q)
	}
}

// shutCounter counts how often the sending side was shut.
type shutCounter struct {
	*net.TCPConn
	shut int
}

func (c *shutCounter) CloseWrite() error { c.shut++; return nil }

// What came while the last of what had waited was written is not cut off.
func TestDrainedShutsOnlyWhatIsEmpty(t *testing.T) {
	at := listen(t, "tcp4", "127.0.0.1:0")
	nc, err := net.Dial("tcp4", at.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	counter := &shutCounter{TCPConn: nc.(*net.TCPConn)}
	c, err := newConn(newSocket(New(nil).(*host), link.Options{Linger: patience}), counter)
	if err != nil {
		t.Fatal(err)
	}
	c.out.append(false, [][]byte{[]byte("more")}, false)
	c.out.ending = true
	if c.drained(); counter.shut != 0 {
		t.Fatal("shut, and something waits")
	}
	c.out.close()
	if c.drained(); counter.shut != 1 {
		t.Fatal("not shut, and nothing waits")
	}
}

// What Flush reports has certainly not arrived: of messages in a piece of memory
// that was written in part, the first may have. Others that wait on the connection
// change nothing.
func TestFlushReportsWhatIsCertain(t *testing.T) {
	for _, it := range []struct {
		name    string
		written int // bytes; a message has three
		want    []int
	}{
		{"nothing was written", 0, []int{0, 1}},
		{"a part was", 4, nil},
	} {
		t.Run(it.name, func(t *testing.T) {
			s, c := lone(t, link.Options{Role: link.Router})
			s.Put([]byte("p"), []byte("a"))
			s.Put([]byte("p"), []byte("b"))
			if err := s.Queue([]byte("p"), []byte("c")); err != nil {
				t.Fatal(err)
			}
			c.out.mu.Lock()
			c.sent(it.written)
			c.dropOutgoing()
			c.out.mu.Unlock()
			var failed []int
			s.Flush(func(number int, _ error) { failed = append(failed, number) })
			if !slices.Equal(failed, it.want) {
				t.Errorf("reported %v, want %v", failed, it.want)
			}
		})
	}
	// What is written is written, whatever is lost behind it.
	s, c := lone(t, link.Options{Role: link.Router})
	s.Put([]byte("p"), []byte("a"))
	c.out.mu.Lock()
	c.sent(3)
	c.out.mu.Unlock()
	if err := s.Queue([]byte("p"), []byte("b")); err != nil {
		t.Fatal(err)
	}
	c.out.mu.Lock()
	c.dropOutgoing()
	c.out.mu.Unlock()
	s.Flush(func(number int, _ error) { t.Errorf("%d is reported, and was written", number) })
}

// What Send reports has certainly not arrived: nor is a message reported that shares
// a piece of memory with one of which a part was written.
func TestSendReportsWhatIsCertain(t *testing.T) {
	for _, it := range []struct {
		name    string
		written int // bytes; a message has three
		want    error
	}{
		{"nothing was written", 0, link.ErrUnreachable},
		{"a part was", 4, nil},
	} {
		t.Run(it.name, func(t *testing.T) {
			s, c := lone(t, link.Options{Role: link.Router})
			for _, m := range []string{"a", "b"} {
				if err := s.Queue([]byte("p"), []byte(m)); err != nil {
					t.Fatal(err)
				}
			}
			c.out.mu.Lock()
			c.sent(it.written)
			c.out.mu.Unlock()
			if err := c.net.(*net.TCPConn).CloseWrite(); err != nil { // the next write fails
				t.Fatal(err)
			}
			if err := s.Send([]byte("p"), []byte("c")); !errors.Is(err, it.want) {
				t.Errorf("%v, want %v", err, it.want)
			}
			if !c.out.closed {
				t.Error("the write has not failed")
			}
		})
	}
}

// lone is a link with one connection, whose peer is called p, and which nobody
// reads.
func lone(t *testing.T, o link.Options) (*socket, *conn) {
	t.Helper()
	at := listen(t, "tcp4", "127.0.0.1:0")
	nc, err := net.Dial("tcp4", at.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	o.Endpoints = []string{"tcp://" + at.Addr().String()}
	if o, err = o.Checked(); err != nil {
		t.Fatal(err)
	}
	s := newSocket(Netpolled().(*host), o)
	c, err := newConn(s, nc)
	if err != nil {
		t.Fatal(err)
	}
	c.id, c.up = []byte("p"), true
	s.conns[c], s.peers["p"] = struct{}{}, c
	return s, c
}
