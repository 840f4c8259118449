package zmtplink_test

import (
	"path/filepath"
	"testing"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
	"github.com/privateer-mq/privateer/internal/link/zmtplink"
)

func freeTCP(*testing.T) string { return "tcp://127.0.0.1:0" }

func freeIPC(t *testing.T) string { return "ipc://" + filepath.Join(t.TempDir(), "s") }

func newHost() (link.Host, error) { return zmtplink.New(nil), nil }

func netpolled() (link.Host, error) { return zmtplink.Netpolled(), nil }

var tcp = linktest.Kind{Name: "tcp", Free: freeTCP, Bind: newHost, Connect: newHost}

func TestContract(t *testing.T) {
	linktest.Run(t, []linktest.Kind{
		tcp,
		{Name: "ipc", Free: freeIPC, Bind: newHost, Connect: newHost},
		{Name: "tcp, a goroutine each", Free: freeTCP, Bind: netpolled, Connect: netpolled},
	})
}

func TestIPCMode(t *testing.T) {
	linktest.IPCMode(t, linktest.Kind{Name: "ipc", Free: freeIPC, Bind: newHost, Connect: newHost})
}
