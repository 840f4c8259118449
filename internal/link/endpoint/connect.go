package endpoint

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/privateer-mq/privateer/internal/link"
)

// ConnectError says what the error of an attempt to connect means and what to do. err is wrapped.
func (t *Target) ConnectError(err error) error {
	switch {
	case link.NoFiles(err):
		return fmt.Errorf("connect %s: %w: %s", t.Given, err, link.FilesAdvice)
	case errors.Is(err, syscall.EACCES) && t.InFiles():
		info, unseen := os.Stat(t.Path)
		if unseen != nil {
			return fmt.Errorf("connect %s: %w: a folder of its path may not be entered by this user", t.Given, err)
		}
		return fmt.Errorf("connect %s: %w: %s is %v, and who connects must be allowed to write to it: be its owner or of its group, or start the broker with --ipc-mode 0660, or 0666",
			t.Given, err, t.Path, info.Mode())
	}
	return fmt.Errorf("connect %s: %w", t.Given, err)
}
