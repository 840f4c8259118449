package zmqlink_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
	"github.com/privateer-mq/privateer/internal/link/zmqlink"
	"github.com/privateer-mq/privateer/internal/link/zmtplink"
)

func freeTCP(*testing.T) string { return "tcp://127.0.0.1:0" }

func freeIPC(t *testing.T) string { return "ipc://" + filepath.Join(t.TempDir(), "s") }

var tcp = linktest.Kind{Name: "tcp", Free: freeTCP, Bind: zmqlink.New, Connect: zmqlink.New}

func TestContract(t *testing.T) {
	linktest.Run(t, []linktest.Kind{
		tcp,
		{Name: "ipc", Free: freeIPC, Bind: zmqlink.New, Connect: zmqlink.New},
	})
}

// The link in Go and libzmq understand each other, whoever binds.
func TestContractWithZMTP(t *testing.T) {
	zmtp := func() (link.Host, error) { return zmtplink.New(nil), nil }
	linktest.Run(t, []linktest.Kind{
		{Name: "libzmq binds, tcp", Free: freeTCP, Bind: zmqlink.New, Connect: zmtp},
		{Name: "libzmq binds, ipc", Free: freeIPC, Bind: zmqlink.New, Connect: zmtp},
		{Name: "libzmq connects, tcp", Free: freeTCP, Bind: zmtp, Connect: zmqlink.New},
		{Name: "libzmq connects, ipc", Free: freeIPC, Bind: zmtp, Connect: zmqlink.New},
	})
}

func TestVersion(t *testing.T) {
	if v := zmqlink.Version(); !strings.HasPrefix(v, "4.") || strings.Count(v, ".") != 2 {
		t.Fatalf("version %q", v)
	}
}

func TestIPCMode(t *testing.T) {
	linktest.IPCMode(t, linktest.Kind{Name: "ipc", Free: freeIPC, Bind: zmqlink.New, Connect: zmqlink.New})
}
