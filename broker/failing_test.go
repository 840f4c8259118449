package broker

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// What fails each time is said once a second, keeps no core busy, and ends the broker
// in the end; what fails now and then does not.
func TestWhatFailsEachTime(t *testing.T) {
	broken := errors.New("it is broken")
	play := func(t *testing.T, fails func(n int) bool) (tries int, lines int, err error) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			var log strings.Builder
			l := &loop{cfg: &Config{Logger: zerolog.New(&log)}, start: time.Now()}
			f := failing{what: "waiting"}
			for end := time.Now().Add(time.Minute); err == nil && time.Now().Before(end); tries++ {
				if fails(tries) {
					err = f.failed(l, broken)
					continue
				}
				time.Sleep(time.Millisecond)
				err = f.failed(l, nil)
			}
			lines = strings.Count(log.String(), "waiting failed")
		})
		return tries, lines, err
	}
	tries, lines, err := play(t, func(int) bool { return true })
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "waiting has failed for 10s") || tries > 1010 || lines > 11 {
		t.Errorf("each time: %v after %d tries, %d lines", err, tries, lines)
	}
	if tries, lines, err = play(t, func(n int) bool { return n%100 != 0 }); err != nil || tries < 5000 || lines > 60 {
		t.Errorf("not each time: %v after %d tries, %d lines", err, tries, lines)
	}
}
