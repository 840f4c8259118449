package broker_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/broker"
)

// A keeper is a connection to an admin listener that is kept.
type keeper struct {
	net.Conn
	read *bufio.Reader
}

func (a *admin) keep() *keeper {
	a.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(a.url, "http://"))
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		a.t.Fatal(err)
	}
	return &keeper{c, bufio.NewReader(c)}
}

// get asks for path. The answer is 0 where the connection has been ended.
func (k *keeper) get(path, token string) (status int, closes bool) {
	fmt.Fprintf(k, "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", path, token)
	res, err := http.ReadResponse(k.read, nil)
	if err != nil {
		return 0, true
	}
	defer res.Body.Close()
	if _, err := bufio.NewReader(res.Body).WriteTo(discard{}); err != nil {
		return 0, true
	}
	return res.StatusCode, res.Close
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// TestProbesGetThrough: whatever connections are kept at the admin listener, health
// checks are answered; and who has shown the token keeps a connection.
func TestProbesGetThrough(t *testing.T) {
	const token, most = "0123456789abcdef", 256 // connections at a time
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]broker.Config{"no token": {}, "token": {AdminTokenFile: file}} {
		for kind, occupy := range map[string]func(k *keeper){
			"idle": func(k *keeper) { k.get("/livez", "") },
			"half": func(k *keeper) { fmt.Fprint(k, "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Half: ") },
			"mute": func(*keeper) {},
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				a := startAdmin(t, cfg)
				mine := a.keep()
				if status, _ := mine.get("/api/v1/status", token); status != http.StatusOK {
					t.Fatalf("status %d", status)
				}
				for _, more := range []int{most - 1, 50} {
					for range more {
						occupy(a.keep())
					}
					for _, path := range []string{"/livez", "/readyz"} {
						if status, _ := a.keep().get(path, ""); status != http.StatusOK {
							t.Fatalf("%s: status %d", path, status)
						}
					}
				}
				if cfg.AdminTokenFile == "" {
					return
				}
				if status, _ := mine.get("/api/v1/status", token); status != http.StatusOK {
					t.Errorf("who has shown the token: status %d", status)
				}
				if _, closes := a.keep().get("/livez", ""); !closes {
					t.Error("who has shown none keeps a connection")
				}
			})
		}
	}
}
