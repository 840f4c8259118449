package transport_test

import (
	"strings"
	"testing"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/transport"
)

func TestFor(t *testing.T) {
	for _, endpoints := range [][]string{
		{"mem://a"}, {"mem://a", "mem://b?seed=1"}, {"tcp://127.0.0.1:1", "ipc:///x"}, {"ipc:///x"},
	} {
		h, _, err := transport.For("", func() {}, endpoints...)
		if err != nil {
			t.Errorf("%v: %v", endpoints, err)
			continue
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
	for want, endpoints := range map[string][]string{
		"no endpoint":      nil,
		`"localhost:5555"`: {"localhost:5555"},
		`"inproc://x"`:     {"tcp://127.0.0.1:1", "inproc://x"},
		`"mem://x" does not go with "tcp://127.0.0.1:1"`: {"tcp://127.0.0.1:1", "mem://x"},
		`"ipc:///y" does not go with "mem://x"`:          {"mem://x", "ipc:///y"},
	} {
		_, _, err := transport.For("", nil, endpoints...)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "mem://") {
			t.Errorf("%v: error %v, want one with %s", endpoints, err, want)
		}
	}
}

// A transport that is not there is an error that says what to do, and one that
// was registered is used.
func TestTransports(t *testing.T) {
	if _, _, err := transport.For("tls", nil, "tcp://127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), `"zmtp" or "libzmq"`) {
		t.Errorf("tls: %v", err)
	}
	if transport.Version("other") != "" {
		t.Error("a version before it was registered")
	}
	opened := 0
	transport.Register("other", transport.Opener{Open: func() (link.Host, error) { opened++; return link.NewMemory(), nil }, Version: "9"})
	h, tells, err := transport.For("other", func() {}, "tcp://127.0.0.1:1")
	if err != nil || tells || opened != 1 || transport.Version("other") != "9" {
		t.Fatalf("%v, tells %t, opened %d", err, tells, opened)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if h, tells, err := transport.For(transport.ZMTP, func() {}, "tcp://127.0.0.1:1"); err != nil || !tells {
		t.Errorf("zmtp: %v, tells %t", err, tells)
	} else if err := h.Close(); err != nil {
		t.Error(err)
	}
}
