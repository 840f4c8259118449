package transport_test

import (
	"os/exec"
	"strings"
	"testing"
)

// The public packages do without libzmq, and so without cgo: who wants it imports
// transport/libzmq.
func TestPublicPackagesDoWithoutLibzmq(t *testing.T) {
	const module = "github.com/privateer-mq/privateer/"
	out, err := exec.Command("go", "list", "-deps", module+"client", module+"worker", module+"broker", module+"brokertest").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, p := range strings.Fields(string(out)) {
		if strings.Contains(p, "zmq4") || strings.HasSuffix(p, "/zmqlink") {
			t.Errorf("%s is linked in", p)
		}
	}
	if !strings.Contains(string(out), "/zmtplink") {
		t.Error("zmtplink is not linked in")
	}
}
