//go:build unix

package pulse

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestSteady(t *testing.T) {
	for _, c := range []struct {
		name string
		good int // the try that goes well
		late time.Duration
		want int
	}{
		{"it goes well", 1, time.Hour, 1},
		{"a steady machine", 2, Late - 1, 1},
		{"a starved machine", 3, Late, 3},
		{"never", 9, Late, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			tries := 0
			steady(func() bool {
				tries++
				return tries == c.good
			}, func() func() time.Duration {
				return func() time.Duration { return c.late }
			})
			if tries != c.want {
				t.Errorf("%d tries, want %d", tries, c.want)
			}
		})
	}
}

// A process that stood still was late.
func TestWatch(t *testing.T) {
	const still = 300 * time.Millisecond
	end := Watch()
	stop := exec.Command("sh", "-c", fmt.Sprintf("kill -STOP %d; sleep %f; kill -CONT %[1]d", os.Getpid(), still.Seconds()))
	if err := stop.Run(); err != nil {
		t.Fatal(err)
	}
	if late := end(); late < still/2 {
		t.Errorf("%v late, and it stood still for %v", late, still)
	}
}
